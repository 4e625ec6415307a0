"""What a worker tells Flower of its tasks, told behind the tasks themselves."""

from __future__ import annotations

from typing import Any

from celery.bootsteps import StartStopStep

DELAY_S = 0.1


class LateEvents(StartStopStep):  # type: ignore[misc]
    """Publishes a worker's events about tasks together, a moment after they happened.

    Celery would publish that a task was received before it hands the task to a process: a round
    trip to the broker that live speech had to wait for.
    """

    requires = ("celery.worker.consumer.events:Events",)

    def start(self, parent: Any) -> None:
        """Take over from the consumer (``parent``), which connects anew after each break."""
        is_planned = False

        def publish() -> None:
            nonlocal is_planned
            is_planned = False
            parent._flush_events()

        def plan() -> None:
            nonlocal is_planned
            if not is_planned:
                is_planned = True
                # Soon, not now: events come from threads too, timers are set in the loop's.
                parent.hub.call_soon(parent.hub.call_later, DELAY_S, publish)

        if parent.hub is not None:  # without one nothing is held back
            parent.event_dispatcher.on_send_buffered = plan
