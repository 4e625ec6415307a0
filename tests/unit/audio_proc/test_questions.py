"""A question in the worker: answered whatever happens, and not recognised for nobody."""

from __future__ import annotations

import numpy as np
import pytest

from deploy.local.ports import find_spare_port
from mynah.audio.waveform import Waveform
from mynah.contracts.questions import QUESTION_RATE, RecognizedQuestion
from mynah.contracts.tasks import TRANSCRIBE, QuestionPayload
from mynah.db.ids import new_id
from mynah.errors import BrokerUnavailable
from mynah.messaging.questions import QuestionDesk
from mynah.recognition.base import Recognizer, Transcript
from mynah.settings import Settings
from services.audio_proc.questions import recognize_question

PCM = np.arange(QUESTION_RATE, dtype="<i2").tobytes()


class Desk(QuestionDesk):
    """Holds one question, or none, without a Redis."""

    def __init__(self, pcm: bytes | None) -> None:
        self.pcm = pcm
        self.found: list[RecognizedQuestion] = []

    def take(self, question_id: object) -> bytes | None:
        return self.pcm

    def give_back(self, question_id: object, found: RecognizedQuestion) -> None:
        self.found.append(found)


class Listener:
    """A recogniser that keeps what it gets."""

    def __init__(self, heard: str | Exception) -> None:
        self.heard = heard
        self.got: list[Waveform] = []

    def supports(self, language: str) -> bool:
        return language == "en"

    def transcribe(self, waveform: Waveform, language: str) -> Transcript:
        self.got.append(waveform)
        if isinstance(self.heard, Exception):
            raise self.heard
        return Transcript(self.heard)


def recognize(desk: QuestionDesk, recognizer: Recognizer | None, language: str = "en") -> None:
    question = QuestionPayload(question_id=new_id(), language=language)
    recognize_question(desk, recognizer, question)


def test_the_sound_is_heard_as_it_was_asked() -> None:
    desk, listener = Desk(PCM), Listener(" Why? ")
    recognize(desk, listener)
    assert desk.found == [RecognizedQuestion(text="Why?")]
    (waveform,) = listener.got
    assert waveform.sample_rate == QUESTION_RATE
    assert waveform.to_pcm16() == PCM


@pytest.mark.parametrize(
    ("recognizer", "language", "code"),
    [
        (None, "en", "recognizer_unavailable"),
        (Listener("Warum?"), "de", "language_not_recognized"),
        (Listener(RuntimeError("out of memory")), "en", "recognizer_failed"),
    ],
)
def test_who_waits_is_told_why_there_is_no_text(
    recognizer: Recognizer | None, language: str, code: str
) -> None:
    desk = Desk(PCM)
    recognize(desk, recognizer, language)
    assert [found.error_code for found in desk.found] == [code]


def test_a_question_that_nobody_waits_for_is_not_recognised() -> None:
    desk, listener = Desk(None), Listener("Why?")
    recognize(desk, listener)
    assert (listener.got, desk.found) == ([], [])


def test_an_absent_broker_is_told_to_the_gateway_and_costs_the_worker_nothing() -> None:
    desk = QuestionDesk(Settings(redis_url=f"redis://127.0.0.1:{find_spare_port()}/0"))
    question = QuestionPayload(question_id=new_id(), language="en")
    with pytest.raises(BrokerUnavailable):
        desk.wait(question.question_id)
    desk.forget(question.question_id)
    recognize_question(desk, Listener("Why?"), question)
    assert TRANSCRIBE.expires_s is not None, "a question must not wait for ever in the queue"
