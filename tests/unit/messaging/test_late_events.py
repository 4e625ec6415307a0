"""What Flower is told of tasks is published behind them, together, and none of it is lost."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from mynah.messaging.late_events import LateEvents


class Consumer:
    """What a worker's consumer is to the step: a hub with timers, and events to publish."""

    def __init__(self, *, has_hub: bool = True) -> None:
        self.soon: list[Callable[[], None]] = []
        self.timers: list[Callable[[], None]] = []
        self.published = 0
        self.event_dispatcher = SimpleNamespace(on_send_buffered=None)
        self.hub: Any = None
        if has_hub:
            self.hub = SimpleNamespace(
                call_soon=lambda work, *arguments: self.soon.append(partial(work, *arguments)),
                call_later=lambda _, work: self.timers.append(work),
            )

    def _flush_events(self) -> None:
        self.published += 1

    def loop(self) -> None:
        """A round of the event loop, late enough for all timers; what is due soon comes first."""
        for work in self.soon:
            work()
        for work in self.timers:
            work()
        self.soon.clear()
        self.timers.clear()


@pytest.fixture
def consumer() -> Consumer:
    consumer = Consumer()
    LateEvents(consumer).start(consumer)
    return consumer


def test_events_that_come_together_are_published_once_and_later(consumer: Consumer) -> None:
    for _ in range(3):
        consumer.event_dispatcher.on_send_buffered()
    assert consumer.published == 0
    consumer.loop()
    assert consumer.published == 1


def test_events_behind_a_publication_are_published_too(consumer: Consumer) -> None:
    for _ in range(2):
        consumer.event_dispatcher.on_send_buffered()
        consumer.loop()
    assert consumer.published == 2


def test_without_an_event_loop_nothing_is_held_back() -> None:
    consumer = Consumer(has_hub=False)
    LateEvents(consumer).start(consumer)
    assert consumer.event_dispatcher.on_send_buffered is None
