"""The queues from which a worker takes messages: they may change while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from celery import Celery

log = structlog.get_logger(__name__)


class QueueIntake:
    """A worker's queues: those that it was started with, less those that it gave back.

    Any thread may use it; Celery's consumer is touched in its own thread only.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._consumer: Any = None
        self._given: tuple[str, ...] | None = None
        self._given_back: frozenset[str] = frozenset()
        self._is_settled = True
        self._lock = threading.Lock()

    def open(self, consumer: Any) -> None:
        """From now on queues can be given back: the tasks run in the consumer's own process."""
        self._given = tuple(self._selected())
        self._consumer = consumer

    @property
    def given(self) -> tuple[str, ...]:
        """The queues that the worker was started with, in the order in which it reads them."""
        return self._given if self._given is not None else tuple(self._selected())

    @property
    def taken(self) -> tuple[str, ...]:
        """The queues from which it takes messages now."""
        return tuple(queue for queue in self.given if queue not in self._given_back)

    def give_back(self, queues: Iterable[str]) -> bool:
        """Take no more messages from these queues; they wait there for other workers.

        False: this process does not decide that, since it runs the tasks of another's consumer.
        """
        if self._consumer is None:
            return False
        with self._lock:
            self._given_back |= frozenset(queues)
            self._is_settled = False
        self.settle()
        return True

    def take_again(self, queues: Iterable[str]) -> None:
        """Take messages from these queues again."""
        with self._lock:
            self._given_back -= frozenset(queues)
            self._is_settled = False
        self.settle()

    def settle(self) -> None:
        """Have the consumer do what was decided, where it has not yet: a connection that broke
        meanwhile may have swallowed it."""
        if not self._is_settled and self._consumer is not None:
            self._consumer.call_soon(self._apply)

    def _selected(self) -> list[str]:
        return list(self._app.amqp.queues.consume_from)

    def _apply(self) -> None:
        """In the consumer's thread. What is taken again goes to its old place: queues are read in
        the order in which they were added, live before batch. Those that an operator added stay."""
        with self._lock:
            wanted = self.taken
            self._is_settled = True
        present = [queue for queue in self._selected() if queue in self.given]
        for queue in [queue for queue in present if queue not in wanted]:
            self._change(self._consumer.cancel_task_queue, queue)
        present = [queue for queue in present if queue in wanted]
        same = 0
        while same < len(present) and present[same] == wanted[same]:
            same += 1
        for queue in present[same:]:
            self._change(self._consumer.cancel_task_queue, queue)
        for queue in wanted[same:]:
            self._change(self._consumer.add_task_queue, queue)

    def _change(self, change: Callable[[str], None], queue: str) -> None:
        try:
            change(queue)
        except Exception:  # the connection is gone; the next one reads what is selected by now
            log.warning("queue_not_changed", queue=queue, exc_info=True)
