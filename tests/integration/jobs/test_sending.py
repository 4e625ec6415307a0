"""Messages as a worker's own library takes them out of a real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kombu import Connection

from mynah.contracts.tasks import SYNTHESIZE, TRANSCRIBE, QuestionPayload, StepPayload
from mynah.db.ids import new_id
from mynah.errors import BrokerUnavailable
from mynah.messaging.sender import CelerySender
from mynah.settings import Settings
from tests.parts import RedisPart

QUEUE = "tts.sending.live"


@pytest.fixture
def sender(redis_url: str) -> Iterator[CelerySender]:
    sender = CelerySender(Settings(redis_url=redis_url))
    yield sender
    sender.close()


def take(redis_url: str, queue: str) -> Any:
    """The next message of a queue, as Kombu reads it."""
    with Connection(redis_url) as connection, connection.SimpleQueue(queue) as waiting:
        message = waiting.get(timeout=5)
        message.ack()
        return message


def test_a_step_is_sent_as_celery_sends_a_task(sender: CelerySender, redis_url: str) -> None:
    payload = StepPayload(step_id=new_id(), job_id=new_id(), request_id="r-1")
    sender.send(SYNTHESIZE, payload, QUEUE)
    message = take(redis_url, QUEUE)
    positional, named, _ = message.payload
    assert positional == []
    assert StepPayload.model_validate(named) == payload
    assert message.headers["task"] == SYNTHESIZE.name
    assert message.headers["id"] == message.properties["correlation_id"]
    assert message.headers["expires"] is None


def test_what_is_of_use_to_nobody_later_expires(sender: CelerySender, redis_url: str) -> None:
    sender.send(TRANSCRIBE, QuestionPayload(question_id=new_id(), language="en"))
    expires = datetime.fromisoformat(take(redis_url, TRANSCRIBE.queue_for()).headers["expires"])
    assert TRANSCRIBE.expires_s is not None
    left = expires - datetime.now(UTC)
    assert timedelta(0) < left <= timedelta(seconds=TRANSCRIBE.expires_s)


def test_messages_are_taken_in_the_order_in_which_they_were_sent(
    sender: CelerySender, redis_url: str
) -> None:
    steps = [new_id() for _ in range(3)]
    for step_id in steps:
        sender.send(SYNTHESIZE, StepPayload(step_id=step_id, job_id=new_id()), QUEUE)
    taken = [take(redis_url, QUEUE).payload[1]["step_id"] for _ in steps]
    assert taken == [str(step_id) for step_id in steps]


def test_the_wrong_payload_is_a_fault_of_ours(sender: CelerySender) -> None:
    with pytest.raises(TypeError):
        sender.send(SYNTHESIZE, QuestionPayload(question_id=new_id(), language="en"))  # type: ignore[arg-type]


def test_a_broker_that_came_back_is_used_at_once(redis: RedisPart, sender: CelerySender) -> None:
    sender.connect()
    with redis.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    sender.connect()


def test_a_broker_that_is_away_is_named() -> None:
    sender = CelerySender(Settings(redis_url="redis://127.0.0.1:1/0"))
    with pytest.raises(BrokerUnavailable):
        sender.connect()
    with pytest.raises(BrokerUnavailable):
        sender.send(SYNTHESIZE, StepPayload(step_id=new_id(), job_id=new_id()), QUEUE)
