"""What the scheduler did: counters for metrics and a rate of the last seconds."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import Final

from mynah.engines.chatterbox.t3.guards import Ending

_WINDOW_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class DecodeStatistics:
    """Counts since the start; ``tokens_per_second`` and ``batch_size`` of the last ten seconds.

    ``queue_wait_s``, ``first_token_s``: sums over ``requests`` and ``first_tokens`` requests.
    """

    requests: int
    tokens: int
    steps: int
    busy_s: float
    queue_wait_s: float
    first_tokens: int
    first_token_s: float
    endings: dict[Ending, int]
    prefix_hits: int
    prefix_misses: int
    waiting: int
    running: int
    tokens_per_second: float
    batch_size: float


class StatisticsRecorder:
    """Written by the scheduler's thread, read by any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = self._tokens = self._steps = self._first_tokens = 0
        self._busy_s = self._queue_wait_s = self._first_token_s = 0.0
        self._endings: Counter[Ending] = Counter()
        self._recent: deque[tuple[float, int, int]] = deque()  # when, steps, streams

    def started(self, waited_s: float) -> None:
        """A request left the queue."""
        with self._lock:
            self._requests += 1
            self._queue_wait_s += waited_s

    def first_token(self, after_s: float) -> None:
        """A request's first token, that long after it was submitted."""
        with self._lock:
            self._first_tokens += 1
            self._first_token_s += after_s

    def stepped(self, took_s: float, steps: int, streams: int) -> None:
        """So many steps of a batch of so many streams."""
        now = time.monotonic()
        with self._lock:
            self._busy_s += took_s
            self._steps += steps
            self._tokens += steps * streams
            self._recent.append((now, steps, streams))
            self._forget_old(now)

    def ended(self, ending: Ending) -> None:
        """A request ended."""
        with self._lock:
            self._endings[ending] += 1

    def snapshot(
        self, *, waiting: int, running: int, prefixes: tuple[int, int]
    ) -> DecodeStatistics:
        """The figures now; ``prefixes``: hits and misses of the voices' cache."""
        with self._lock:
            self._forget_old(time.monotonic())
            tokens = sum(steps * streams for _, steps, streams in self._recent)
            steps = sum(steps for _, steps, _ in self._recent)
            return DecodeStatistics(
                requests=self._requests,
                tokens=self._tokens,
                steps=self._steps,
                busy_s=self._busy_s,
                queue_wait_s=self._queue_wait_s,
                first_tokens=self._first_tokens,
                first_token_s=self._first_token_s,
                endings=dict(self._endings),
                prefix_hits=prefixes[0],
                prefix_misses=prefixes[1],
                waiting=waiting,
                running=running,
                tokens_per_second=tokens / _WINDOW_S,
                batch_size=tokens / steps if steps else 0.0,
            )

    def _forget_old(self, now: float) -> None:
        while self._recent and self._recent[0][0] < now - _WINDOW_S:
            self._recent.popleft()
