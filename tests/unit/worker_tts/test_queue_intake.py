"""A worker's queues, given back and taken again in their order."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mynah.messaging.celery_app import CeleryApp
from mynah.messaging.intake import QueueIntake

GIVEN = ("tts.a.live", "tts.b.live", "tts.a.batch", "tts.b.batch")
OF_A = ("tts.a.live", "tts.a.batch")
OF_B = ("tts.b.live", "tts.b.batch")


class FakeConsumer:
    """Celery's consumer, with the selection of a real app; ``swallows`` what it is to do soon."""

    def __init__(self) -> None:
        self.app = CeleryApp("test", set_as_current=False)
        self.app.amqp.queues.select(GIVEN)
        self.swallows = False
        self.is_cut_off = False

    def call_soon(self, change: Callable[[], None]) -> None:
        if not self.swallows:
            change()

    def cancel_task_queue(self, queue: str) -> None:
        self.app.amqp.queues.deselect(queue)
        if self.is_cut_off:
            raise ConnectionError

    def add_task_queue(self, queue: str) -> None:
        self.app.amqp.queues.select_add(queue)
        if self.is_cut_off:
            raise ConnectionError

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(self.app.amqp.queues.consume_from)


@pytest.fixture
def consumer() -> FakeConsumer:
    return FakeConsumer()


@pytest.fixture
def intake(consumer: FakeConsumer) -> QueueIntake:
    opened = QueueIntake(consumer.app)
    opened.open(consumer)
    return opened


def test_what_is_given_back_is_not_read_and_taken_again_in_its_old_place(
    consumer: FakeConsumer, intake: QueueIntake
) -> None:
    assert intake.give_back(OF_A)
    assert consumer.reads == intake.taken == OF_B
    assert intake.give_back(OF_B)
    assert consumer.reads == ()
    intake.take_again(OF_B)
    intake.take_again(OF_A)
    assert consumer.reads == intake.taken == intake.given == GIVEN


@pytest.mark.parametrize("is_cut_off", [True, False])
def test_what_a_broken_connection_swallowed_is_settled_later(
    consumer: FakeConsumer, intake: QueueIntake, is_cut_off: bool
) -> None:
    consumer.is_cut_off, consumer.swallows = is_cut_off, not is_cut_off
    intake.give_back(OF_A)
    consumer.swallows = False
    intake.settle()
    assert consumer.reads == OF_B


def test_what_an_operator_changed_is_left_alone(
    consumer: FakeConsumer, intake: QueueIntake
) -> None:
    consumer.app.amqp.queues.select_add("tts.c.live")
    consumer.app.amqp.queues.deselect("tts.b.batch")
    intake.settle()
    assert consumer.reads == ("tts.a.live", "tts.b.live", "tts.a.batch", "tts.c.live")
    intake.give_back(OF_A)
    assert "tts.c.live" in consumer.reads


def test_a_process_that_runs_anothers_tasks_gives_nothing_back(consumer: FakeConsumer) -> None:
    intake = QueueIntake(consumer.app)
    assert intake.given == GIVEN
    assert not intake.give_back(OF_A)
    intake.settle()
    assert consumer.reads == GIVEN
