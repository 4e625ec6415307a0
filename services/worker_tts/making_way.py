"""Live before batch in a pool that serves both: a batch piece makes way in the middle."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from mynah.contracts.states import Lane
from mynah.errors import BrokerUnavailable
from mynah.jobs.claims import Claim, MadeWay
from mynah.messaging.sender import Broker

LOOK_INTERVAL_S = 0.01


class LiveFirst:
    """Looks at the live queues of this worker while it speaks a batch piece.

    ``queues``: those from which it takes work now. What waits in others is not its business.
    """

    def __init__(self, broker: Broker, queues: Callable[[], Iterable[str]]) -> None:
        self._broker = broker
        self._queues = queues
        self._looked_at = 0.0

    def make_way(self, claim: Claim) -> None:
        """Raise MadeWay when live work waits for this worker and the claim is not live itself."""
        now = time.monotonic()
        if _is_live(claim.step.queue) or now - self._looked_at < LOOK_INTERVAL_S:
            return
        self._looked_at = now
        live_queues = sorted(filter(_is_live, self._queues()))
        try:
            waiting = [name for name in live_queues if self._broker.queue_depth(name)]
        except BrokerUnavailable:  # then nothing live waits either
            return
        if waiting:
            raise MadeWay(f"step {claim.step.id} made way for {waiting[0]}")


def _is_live(queue: str) -> bool:
    return queue.endswith(f".{Lane.LIVE}")
