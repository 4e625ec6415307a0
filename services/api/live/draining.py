"""How fast a listener's connection takes what it is sent.

What the server wrote is not what the listener got: the kernel takes hundreds of kilobytes at
once, half a minute of speech. It says how much of that the other side has not confirmed.
"""

from __future__ import annotations

import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

if sys.platform == "linux":
    from fcntl import ioctl
    from termios import TIOCOUTQ

WINDOW_S = 1.5
_SHORTEST_WINDOW_S = 0.5


def unsent_bytes(connection: socket.socket) -> int | None:
    """Bytes that were written and not confirmed by the other side; None: it is not known.

    SIOCOUTQ of Linux (tcp(7)), which has the number of TIOCOUTQ.
    """
    if sys.platform != "linux":
        return None
    try:
        found = ioctl(connection.fileno(), TIOCOUTQ, bytes(4))
    except OSError:  # closed
        return None
    return int.from_bytes(found, sys.byteorder)


@dataclass(frozen=True, slots=True)
class Drained:
    """What has reached the listener at a moment.

    ``audio_s``: sound that did; ``queued_s``: sound that was sent and did not.
    ``throughput_kbps``: what the connection took lately; None: not known yet.
    """

    at: float
    audio_s: float
    queued_s: float
    throughput_kbps: float | None


class Drain:
    """Follows one connection. ``unsent`` says how many bytes wait in it; None: nobody knows."""

    def __init__(
        self, unsent: Callable[[], int | None], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._unsent = unsent
        self._now = now
        self._sent_bytes, self._sent_s = 0, 0.0
        self._waiting: deque[tuple[int, float]] = deque()  # where each message ends
        self._arrived = (0, 0.0)  # the last end that the other side confirmed
        self._samples: deque[tuple[float, int]] = deque()

    def sent(self, size_bytes: int, duration_s: float) -> None:
        """So much was written: encoded bytes, and the sound in them."""
        self._sent_bytes += size_bytes
        self._sent_s += duration_s
        self._waiting.append((self._sent_bytes, self._sent_s))

    @property
    def sent_s(self) -> float:
        """Sound that was written, in all."""
        return self._sent_s

    def look(self) -> Drained | None:
        """How things stand; None where the system does not tell."""
        unsent, at = self._unsent(), self._now()
        if unsent is None:
            return None
        # Heads, chunk sizes and events count too, and are little beside the sound.
        drained = max(self._arrived[0], self._sent_bytes - unsent)
        while self._waiting and self._waiting[0][0] <= drained:
            self._arrived = self._waiting.popleft()
        audio_s = self._arrived[1]
        if self._waiting and (size := self._waiting[0][0] - self._arrived[0]):
            share = (drained - self._arrived[0]) / size
            audio_s += share * (self._waiting[0][1] - audio_s)
        return Drained(at, audio_s, self._sent_s - audio_s, self._throughput(at, drained))

    def _throughput(self, at: float, drained: int) -> float | None:
        self._samples.append((at, drained))
        while self._samples[-1][0] - self._samples[0][0] > WINDOW_S:
            self._samples.popleft()
        began, bytes_then = self._samples[0]
        if at - began < _SHORTEST_WINDOW_S:
            return None
        return (drained - bytes_then) * 8 / 1000 / (at - began)
