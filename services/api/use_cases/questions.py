"""Spoken questions: whether somebody can write them down, and who answers them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from mynah.contracts.webhooks import WebhookEvent
from mynah.contracts.workers import WorkerReport
from mynah.db.models import Webhook
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import Conflict, InvalidRequest, NotFound, Unavailable
from services.api.live.sockets.heard_sound import SoundForm
from services.api.use_cases.speech_order import SpeechOrder
from services.api.use_cases.speech_planning import DETECT, find_voice


@dataclass(frozen=True, slots=True)
class ListenOrder:
    """How a device's questions sound and are answered.

    ``language`` None: that of the speech. ``responder_id`` None: the only one that there is.
    ``pause_ms``: the silence that ends a question. ``reference``: what the app calls the device.
    """

    sound: SoundForm
    language: str | None
    responder_id: UUID | None
    barge_in: bool
    pause_ms: int
    reference: str


def ensure_recognizer(workers: Iterable[WorkerReport]) -> None:
    """Raises Unavailable (``recognizer_unavailable``) unless a living worker has a recogniser."""
    reports = [worker.recognizer for worker in workers if worker.recognizer is not None]
    if any(report.available for report in reports):
        return
    reasons = [report.reason for report in reports if report.reason]
    reason = reasons[0] if reasons else "no worker takes questions"
    raise Unavailable(
        f"Questions cannot be recognised here: {reason}.", code="recognizer_unavailable"
    )


def find_responder(uow: UnitOfWork, user_id: UUID, responder_id: UUID | None) -> Webhook:
    """The webhook that answers a user's questions.

    Raises NotFound (``responder_not_found``), Conflict (``no_responder``), InvalidRequest
    (``responder_ambiguous``: there are several and none is named).
    """
    found = uow.webhooks.listening(user_id, WebhookEvent.QUESTION_ASKED)
    if responder_id is None and len(found) > 1:
        message = "Several webhooks answer questions; name one as responder_id."
        raise InvalidRequest(message, code="responder_ambiguous")
    if responder_id is None and not found:
        message = f"No webhook answers questions; make one for {WebhookEvent.QUESTION_ASKED}."
        raise Conflict(message, code="no_responder")
    chosen = responder_id or found[0]
    webhook = uow.webhooks.get(user_id, chosen) if chosen in found else None
    if webhook is None:
        raise NotFound("There is no such responder.", code="responder_not_found")
    return webhook


def question_language(
    uow: UnitOfWork, user_id: UUID, wanted: str | None, speech: SpeechOrder
) -> str:
    """The language in which questions are asked: as said, that of the speech, or the voice's.

    Raises NotFound, Conflict (the voice).
    """
    language = wanted or speech.language
    if language and language != DETECT:
        return language
    return find_voice(uow, user_id, str(speech.voice_id)).language
