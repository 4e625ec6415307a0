"""How many listeners a process serves at a time, so that all other requests have threads."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from uuid import UUID

from prometheus_client import Gauge

from mynah.errors import TooManyRequests, Unavailable
from mynah.observability.metrics import STREAMS

RETRY_S = 5
CODE = "too_many_streams"


class StreamSlots:
    """Counts the listeners of this process, in all and per user."""

    def __init__(self, limit: int, limit_per_user: int, gauge: Gauge = STREAMS) -> None:
        self._limit = limit
        self._gauge = gauge
        self._limit_per_user = limit_per_user
        self._lock = threading.Lock()
        self._by_user: Counter[UUID] = Counter()

    @property
    def taken(self) -> int:
        """Listeners now."""
        with self._lock:
            return self._by_user.total()

    def taken_by(self, user_id: UUID) -> int:
        """Listeners of one user now."""
        with self._lock:
            return self._by_user[user_id]

    def take(self, user_id: UUID) -> Callable[[], None]:
        """Take a slot; returns what gives it back, once, however often it is called.

        Raises TooManyRequests when the user has too many, Unavailable when all are taken.
        """
        with self._lock:
            if self._by_user[user_id] >= self._limit_per_user:
                message = f"You listen to {self._limit_per_user} streams already."
                raise TooManyRequests(message, code=CODE, retry_after_s=RETRY_S)
            if self._by_user.total() >= self._limit:
                raise Unavailable("All streams are taken.", code=CODE, retry_after_s=RETRY_S)
            self._by_user[user_id] += 1
            is_taken = True
        self._gauge.inc()

        def give_back() -> None:
            nonlocal is_taken
            with self._lock:
                if not is_taken:
                    return
                is_taken = False
                self._by_user[user_id] -= 1
                if not self._by_user[user_id]:
                    del self._by_user[user_id]
            self._gauge.dec()

        return give_back
