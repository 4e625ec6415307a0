"""/ws/tts: speech over a WebSocket, for devices and apps. Described in ``docs/streaming.md``."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NoReturn, Self
from uuid import UUID

import structlog
from flask import Blueprint, Response, request

from mynah.errors import Unavailable
from services.api.auth.caller import Caller, caller_of, current_caller
from services.api.bootstrap import Container, current_container
from services.api.live.session import Session
from services.api.live.websocket import WebSocket

_NOBODY = UUID(int=0)

blp = Blueprint("speech socket", __name__)
log = structlog.get_logger(__name__)


@blp.route("/ws/tts", websocket=True)  # any other request gets 400
def speak() -> Response:
    """Talk over a WebSocket until somebody ends it."""
    connection = request.environ.get("gunicorn.socket")
    if connection is None:
        raise Unavailable("This server has no WebSockets.", code="no_websockets")
    container = current_container()
    caller = _known_caller(container)
    with _Slot(container) as slot:
        slot.take(caller)
        _talk(container, connection, caller, slot)
    return _Taken(status=101)


class _Slot:
    """The listener's slot of a socket: nobody's until its client has said who it is."""

    def __init__(self, container: Container) -> None:
        self._slots = container.slots
        self._broken_slots = container.broken_slots
        self._held = ExitStack()
        self._user_id = _NOBODY
        self._is_aside = False

    def take(self, caller: Caller | None) -> None:
        """Take a slot for a caller and give back the one before. Raises as StreamSlots."""
        self._user_id = caller.user_id if caller else _NOBODY
        self._hold(self._slots.take(self._user_id))

    def lay_aside(self) -> None:
        """The connection broke: its client's next one takes a slot. Raises as StreamSlots."""
        if not self._is_aside:
            self._hold(self._broken_slots.take(self._user_id))
            self._is_aside = True

    def _hold(self, give_back: Callable[[], None]) -> None:
        self._held.close()
        self._held.callback(give_back)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()


class _Taken(Response):
    """Tells gunicorn that the connection was used up."""

    def __call__(self, *_: Any) -> NoReturn:
        """See gunicorn's gthread worker: it closes the connection then."""
        raise StopIteration


def _talk(container: Container, connection: Any, caller: Caller | None, slot: _Slot) -> None:
    # numpy, scipy and the encoder: a gateway that nobody listens to starts without them
    from services.api.live.conversation import Conversation  # noqa: PLC0415

    settings = container.settings
    socket = WebSocket(connection, settings.stream_stall_timeout_s, settings.socket_ping_interval_s)
    started = time.monotonic()
    if not socket.accept(request.environ):
        return
    request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
    session = Session(
        socket,
        resume_s=settings.socket_resume_s,
        kept_bytes=settings.socket_kept_kib * 1024,
        lay_aside=slot.lay_aside,
    )
    reason = Conversation(container, session, request_id, caller, slot.take).run()
    seconds = round(time.monotonic() - started, 3)
    log.info("socket_ended", reason=reason, duration_s=seconds)


def _known_caller(container: Container) -> Caller | None:
    """Who the headers or the query name; None when they name nobody. Raises NotAuthenticated."""
    if token := request.args.get("token"):
        return caller_of(container, token)
    has_credentials = "X-API-Key" in request.headers or "Authorization" in request.headers
    return current_caller() if has_credentials else None
