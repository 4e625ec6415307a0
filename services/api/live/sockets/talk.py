"""What those who hear and answer need of a conversation that has started."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from services.api.bootstrap import Container
from services.api.live.sockets.session import Session
from services.api.live.sockets.speaking import Voicing
from services.api.use_cases.speech import Requester
from services.api.use_cases.speech_order import SpeechOrder


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation's parts; any thread may use them.

    ``speak`` says a text behind what waits and ``mark`` marks a place there, both unless the event
    says that it was dropped; ``speak`` raises MynahError. ``interrupt``: be silent, and drop what
    is being answered.
    """

    container: Container
    socket: Session
    asker: Requester
    order: SpeechOrder
    voicing: Voicing
    speak: Callable[[str, threading.Event], None]
    mark: Callable[[str, threading.Event], None]
    interrupt: Callable[[], None]
