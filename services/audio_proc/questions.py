"""What a person asked: a question's sound becomes a text, for a gateway that waits."""

from __future__ import annotations

import time

import numpy as np
import structlog

from mynah.audio.waveform import Waveform
from mynah.contracts.questions import QUESTION_RATE, RecognizedQuestion
from mynah.contracts.tasks import TRANSCRIBE, QuestionPayload
from mynah.contracts.workers import RecognizerReport, WorkerReport
from mynah.errors import BrokerUnavailable
from mynah.messaging.questions import QuestionDesk
from mynah.recognition.base import Recognizer
from mynah.recognition.registry import find_recognizer, load_recognizer
from mynah.settings import load_settings

log = structlog.get_logger(__name__)


def takes_questions(queues: frozenset[str]) -> bool:
    """Whether a worker of these queues recognises questions."""
    return TRANSCRIBE.queue_for() in queues


def report_recognizer(queues: frozenset[str]) -> WorkerReport:
    """Whether this worker recognises questions, if their queue is one of those it serves."""
    if not takes_questions(queues):
        return WorkerReport()
    found = find_recognizer(load_settings().recognizer_dir)
    return WorkerReport(
        recognizer=RecognizerReport(available=found.reason is None, reason=found.reason)
    )


def load_hearing() -> tuple[QuestionDesk, Recognizer | None]:
    """The way to those who wait, and the recogniser with its weights, where there is one."""
    settings = load_settings()
    return QuestionDesk(settings), load_recognizer(settings.recognizer_dir)


def recognize_question(
    desk: QuestionDesk, recognizer: Recognizer | None, question: QuestionPayload
) -> None:
    """Recognise one question, unless nobody waits for it any more. Never raises."""
    try:
        pcm = desk.take(question.question_id)
        if pcm is not None:
            found = _recognize(recognizer, pcm, question.language)
            desk.give_back(question.question_id, found)
    except BrokerUnavailable:  # who waits has a time limit
        log.warning("question_lost", question_id=str(question.question_id))


def _recognize(recognizer: Recognizer | None, pcm: bytes, language: str) -> RecognizedQuestion:
    if recognizer is None:
        return _failed("recognizer_unavailable", "No recogniser is installed.")
    if not recognizer.supports(language):
        return _failed("language_not_recognized", f"{language!r} is not understood here.")
    waveform = Waveform.from_int16(np.frombuffer(pcm, "<i2").astype(np.int16), QUESTION_RATE)
    started = time.perf_counter()
    try:
        heard = recognizer.transcribe(waveform, language)
    except Exception:  # a recogniser may raise anything; who waits must be told
        log.exception("question_not_recognized")
        return _failed("recognizer_failed", "The recogniser failed.")
    recognition_s = round(time.perf_counter() - started, 3)
    log.info("question_recognized", audio_s=waveform.duration_s, recognition_s=recognition_s)
    return RecognizedQuestion(text=heard.text.strip())


def _failed(code: str, message: str) -> RecognizedQuestion:
    return RecognizedQuestion(error_code=code, error_message=message)
