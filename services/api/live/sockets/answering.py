"""The answers to what was asked on one WebSocket: recognise, ask the responder, speak.

One question after another, on a thread of its own; a new one drops the one before it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from mynah.contracts.tasks import QuestionPayload
from mynah.contracts.webhooks import WebhookEvent
from mynah.db.ids import new_id
from mynah.db.sealing import SealBroken
from mynah.errors import MynahError, Unavailable
from mynah.webhooks.addresses import parse_target
from mynah.webhooks.connection import SendFailed
from mynah.webhooks.outbox import message_body
from mynah.webhooks.signatures import signed_headers, unseal_secret
from services.api.live.sockets.increments import Increments
from services.api.live.sockets.messages import show
from services.api.live.sockets.talk import Talk
from services.api.live.sockets.websocket import SocketClosed
from services.api.use_cases.questions import ensure_recognizer, find_responder

log = structlog.get_logger(__name__)

ANSWER = "answer"  # the mark behind an answer's sound
ROOM_LOOK_S = 0.05


class Dropped(Exception):
    """Nobody wants this answer any more."""


@dataclass(slots=True)
class Question:
    """One question. ``cut``: ends the responder's answer, while there is one."""

    number: int
    pcm: bytes
    id: UUID = field(default_factory=new_id)
    is_dropped: threading.Event = field(default_factory=threading.Event)
    cut: Callable[[], None] | None = None

    def drop(self) -> None:
        """Nobody wants the answer."""
        self.is_dropped.set()
        if self.cut is not None:
            self.cut()

    def ensure_wanted(self) -> None:
        """Raises Dropped."""
        if self.is_dropped.is_set():
            raise Dropped

    def take_cut(self, cut: Callable[[], None]) -> None:
        """Keep what cuts off the answer that begins now."""
        self.cut = cut
        if self.is_dropped.is_set():
            cut()


class Answering:
    """Answers the questions of one conversation."""

    def __init__(self, talk: Talk, responder_id: UUID, language: str, reference: str) -> None:
        self._talk = talk
        self._responder_id = responder_id
        self._language = language
        self._reference = reference
        self._conversation_id = new_id()
        self._pool = ThreadPoolExecutor(1, "answering")
        self._lock = threading.Lock()
        self._is_stopped = False
        self._open: dict[UUID, Question] = {}

    @property
    def is_busy(self) -> bool:
        """Whether an answer is being made that somebody wants."""
        with self._lock:
            return any(not question.is_dropped.is_set() for question in self._open.values())

    def ask(self, number: int, pcm: bytes) -> None:
        """Have a question answered; the one before is dropped."""
        self.drop()
        question = Question(number, pcm)
        with self._lock:
            if not self._is_stopped:
                self._open[question.id] = question
                self._pool.submit(self._run, question)

    def drop(self) -> None:
        """Drop what is being answered."""
        with self._lock:
            questions = list(self._open.values())
        for question in questions:
            question.drop()

    def run_behind(self, then: Callable[[], None]) -> None:
        """Call something when all is answered."""
        with self._lock:
            if not self._is_stopped:
                self._pool.submit(then)

    def stop(self) -> None:
        """Drop everything; the thread ends soon."""
        with self._lock:
            self._is_stopped = True
        self.drop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, question: Question) -> None:
        started = time.monotonic()
        try:
            outcome = self._answer(question)
        except (Dropped, SocketClosed):
            outcome = "dropped"
        except MynahError as error:
            outcome = self._fail(question, error)
        except Exception:
            log.exception("answering_crashed", question_id=str(question.id))
            outcome = self._fail(question, MynahError("An unexpected error."))
        finally:
            with self._lock:
                del self._open[question.id]
        log.info(
            "question_ended",
            question_id=str(question.id),
            request_id=self._talk.asker.request_id,
            reason=outcome,
            duration_s=round(time.monotonic() - started, 3),
        )

    def _answer(self, question: Question) -> str:
        """What became of a question, for the log. Raises MynahError, Dropped, SocketClosed."""
        question.ensure_wanted()
        text = self._recognize(question)
        if not text:
            self._tell(question, "no_speech")
            return "no_speech"
        self._tell(question, "transcript", text=text)
        return self._speak_answer(question, text)

    def _recognize(self, question: Question) -> str:
        """What was asked; "" for nothing. Raises Unavailable, BrokerUnavailable, Dropped."""
        container, asker = self._talk.container, self._talk.asker
        ensure_recognizer(container.presence.reports().values())
        payload = QuestionPayload(
            question_id=question.id, language=self._language, request_id=asker.request_id
        )
        limit_s = container.settings.recognition_timeout_s
        deadline = time.monotonic() + limit_s
        container.questions.hand_in(container.sender, payload, question.pcm)
        question.pcm = b""
        try:
            while time.monotonic() < deadline:
                question.ensure_wanted()
                found = container.questions.wait(question.id)
                if found is None:
                    continue
                if found.error_code is not None:
                    raise Unavailable(found.error_message, code=found.error_code)
                return found.text
        finally:
            container.questions.forget(question.id)
        raise Unavailable(
            f"The question was not recognised within {limit_s:g} s.", code="recognizer_timeout"
        )

    def _speak_answer(self, question: Question, text: str) -> str:
        """Ask the responder, and say its answer as it comes; what came is said in any case."""
        outcome = "answered"
        speech = _AnswerSpeech(self._talk, question, self._talk.order.language or self._language)
        try:
            with closing(self._ask_responder(question, text)) as parts:
                for part in parts:
                    speech.add(part)
            speech.finish()
        except SendFailed as failure:
            outcome = self._fail(question, _responder_error(failure))
        except MynahError as error:
            outcome = self._fail(question, error)
        self._talk.mark(ANSWER, question.is_dropped)
        return outcome

    def _ask_responder(self, question: Question, text: str) -> Generator[str]:
        """The answer as it comes. Raises SendFailed, NotFound (the webhook was deleted)."""
        container, asker = self._talk.container, self._talk.asker
        with container.new_uow() as uow:
            responder = find_responder(uow, asker.user_id, self._responder_id)
        try:
            secret = unseal_secret(
                container.settings.jwt_secret, responder.id, responder.sealed_secret
            )
        except SealBroken as error:
            raise SendFailed("secret_unreadable") from error
        event = WebhookEvent.QUESTION_ASKED
        body = message_body(event, self._facts(question, text)).encode()
        headers = signed_headers(secret, event, question.id, body)
        target = parse_target(responder.url)
        return container.responders.ask(target, body, headers, question.take_cut)

    def _facts(self, question: Question, text: str) -> dict[str, object]:
        return {
            "question_id": str(question.id),
            "conversation_id": str(self._conversation_id),
            "question": question.number,
            "text": text,
            "language": self._language,
            "voice_id": str(self._talk.order.voice_id),
            "reference": self._reference,
        }

    def _fail(self, question: Question, error: MynahError) -> str:
        """Tell that a question is not answered; what became of it, for the log."""
        if question.is_dropped.is_set():
            return "dropped"
        try:
            self._tell(question, "error", error_code=error.code, message=error.message)
        except SocketClosed:
            return "dropped"
        return error.code

    def _tell(self, question: Question, kind: str, **values: object) -> None:
        self._talk.socket.send(show(kind, question=question.number, **values))


class _AnswerSpeech:
    """Says a text as it comes. While too much waits to be spoken it is kept, and read on."""

    def __init__(self, talk: Talk, question: Question, language: str) -> None:
        self._talk = talk
        self._question = question
        self._increments = Increments(language, talk.container.settings.max_sync_characters)
        self._kept: deque[str] = deque()

    def add(self, text: str) -> None:
        """Take an increment. Raises Dropped, MynahError."""
        self._question.ensure_wanted()
        self._kept += self._increments.add(text)
        while self._kept and not self._talk.voicing.is_full:
            self._say_next()

    def finish(self) -> None:
        """Say the rest, when there is room for it. Raises Dropped, MynahError."""
        self._kept.append(self._increments.take_all())
        while self._kept:
            self._wait_for_room()
            self._say_next()

    def _say_next(self) -> None:
        self._talk.speak(self._kept.popleft(), self._question.is_dropped)

    def _wait_for_room(self) -> None:
        self._question.ensure_wanted()
        while self._talk.voicing.is_full:
            if self._question.is_dropped.wait(ROOM_LOOK_S):
                raise Dropped


def _responder_error(failure: SendFailed) -> MynahError:
    status = f" with status {failure.status}" if failure.status else ""
    message = f"The responder gave no answer that can be spoken{status}: {failure.code}."
    return Unavailable(message, code=f"responder_{failure.code}")
