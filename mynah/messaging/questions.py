"""Questions on their way to a recogniser and back: sound and words in Redis, a task between.

Both sides may be gone at any time: all keys expire, who waits has a time limit, and a question
that nobody waits for any more is not recognised.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import redis
import structlog
from pydantic import ValidationError

from mynah.contracts.questions import RecognizedQuestion
from mynah.contracts.tasks import TRANSCRIBE, QuestionPayload, TaskSender
from mynah.errors import BrokerUnavailable
from mynah.settings import Settings

log = structlog.get_logger(__name__)

KEPT_S = 60
LONGEST_WAIT_S = 0.25  # so that a question that was dropped holds up none behind it
_TIMEOUT_S = 2.0  # of one round trip; longer than the longest wait


class QuestionDesk:
    """Where questions are handed in, taken and answered. Nothing connects before its first use."""

    def __init__(self, settings: Settings) -> None:
        self._redis: Any = redis.Redis.from_url(
            settings.redis_url, socket_connect_timeout=1.0, socket_timeout=_TIMEOUT_S
        )

    def hand_in(self, sender: TaskSender, question: QuestionPayload, pcm: bytes) -> None:
        """Have a question's sound recognised. Raises BrokerUnavailable."""
        try:
            self._redis.set(_sound(question.question_id), pcm, ex=KEPT_S)
        except redis.RedisError as error:
            raise BrokerUnavailable from error
        sender.send(TRANSCRIBE, question)

    def take(self, question_id: UUID) -> bytes | None:
        """The sound for who recognises it, once; None: nobody waits any more.

        Raises BrokerUnavailable.
        """
        try:
            pcm: bytes | None = self._redis.getdel(_sound(question_id))
        except redis.RedisError as error:
            raise BrokerUnavailable from error
        return pcm

    def give_back(self, question_id: UUID, found: RecognizedQuestion) -> None:
        """Tell who waits. Raises BrokerUnavailable."""
        key = _words(question_id)
        try:
            with self._redis.pipeline() as pipeline:
                pipeline.rpush(key, found.model_dump_json())
                pipeline.expire(key, KEPT_S)
                pipeline.execute()
        except redis.RedisError as error:
            raise BrokerUnavailable from error

    def wait(self, question_id: UUID) -> RecognizedQuestion | None:
        """What was recognised, once it is there; None: not within LONGEST_WAIT_S.

        Raises BrokerUnavailable.
        """
        try:
            found = self._redis.blpop([_words(question_id)], timeout=LONGEST_WAIT_S)
        except redis.RedisError as error:
            raise BrokerUnavailable from error
        if found is None:
            return None
        try:
            return RecognizedQuestion.model_validate_json(found[1])
        except ValidationError:  # of a worker of another release
            return RecognizedQuestion(error_code="recognizer_failed")

    def forget(self, question_id: UUID) -> None:
        """Nobody waits any more. Never raises: what is left expires."""
        try:
            self._redis.unlink(_sound(question_id), _words(question_id))
        except redis.RedisError as error:
            log.warning("question_not_forgotten", reason=type(error).__name__)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()


def _sound(question_id: UUID) -> str:
    return f"mynah:question:{question_id}:sound"


def _words(question_id: UUID) -> str:
    return f"mynah:question:{question_id}:words"
