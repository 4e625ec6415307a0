"""Utterances: the texts of a socket that are spoken, each as a live job of its own."""

from __future__ import annotations

from mynah.errors import InvalidRequest
from services.api.auth.caller import Caller
from services.api.bootstrap import Container
from services.api.use_cases.live_speech import LiveJob, order_live
from services.api.use_cases.speech import Requester
from services.api.use_cases.speech_order import SpeechOrder


def asker_of(caller: Caller, request_id: str) -> Requester:
    """On whose behalf a socket's texts are spoken."""
    quota = caller.monthly_character_quota
    return Requester(caller.user_id, caller.origin, request_id, quota)


def order_utterance(container: Container, asker: Requester, order: SpeechOrder) -> LiveJob | None:
    """Have a text spoken for a socket that listens; None where it holds nothing to speak.

    Raises what ``order_live`` does.
    """
    try:
        want = container.live.want
        return order_live(container.new_uow, container.settings, want, asker, order, is_kept=False)
    except InvalidRequest as error:
        if error.code == "nothing_to_speak":
            return None
        raise
