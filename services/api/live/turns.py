"""Who joins and encodes next: one listener of a process at a time, the most hurried first.

Both are a score of short calls of numpy that all let go of the interpreter. Threads that do it
side by side take it from each other at each of them, which costs more than the work. All that the
listeners of a process need together is about half a core.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """One at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_taken = False
        self._waiting: list[tuple[float, int, threading.Lock]] = []  # a heap
        self._came = 0

    @contextmanager
    def turn(self, dry_at: float) -> Iterator[None]:
        """Wait for a turn. ``dry_at``: when what a listener has is played; the earliest is next."""
        self._take(dry_at)
        try:
            yield
        finally:
            self._pass_on()

    def _take(self, dry_at: float) -> None:
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return
            self._came += 1  # among equals the first to come
            told = threading.Lock()
            told.acquire()
            heapq.heappush(self._waiting, (dry_at, self._came, told))
        told.acquire()

    def _pass_on(self) -> None:
        with self._lock:
            if self._waiting:
                heapq.heappop(self._waiting)[2].release()
            else:
                self._is_taken = False


TURNS = Turns()
