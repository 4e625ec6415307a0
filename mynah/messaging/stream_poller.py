"""Reads the streams of a crowd of listeners with one command at a time.

A blocking XREAD for each listener costs a connection, two wake-ups and a reply to be parsed for
every block. Here one thread asks for all of them a few times a hundredth of a second apart, and
wakes only those for whom something has come.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import redis
import structlog

log = structlog.get_logger(__name__)

Entry = tuple[bytes, Mapping[bytes, bytes]]

TICK_S = 0.02
MOST_ENTRIES = 64  # of one stream at a time
_IDLE_TICKS = 100  # then the thread ends; the next reader starts another one


@dataclass(slots=True, eq=False)
class _Waiting:
    """Who waits for the entries of a stream behind the one named ``after``."""

    stream: str
    after: str
    told: threading.Event = field(default_factory=threading.Event)
    entries: list[Entry] = field(default_factory=list)
    error: redis.RedisError | None = None


class StreamPoller:
    """All readers of one process. Nothing is read that nobody waits for."""

    def __init__(self, client: Any) -> None:
        self._redis = client
        self._lock = threading.Lock()
        self._waiting: set[_Waiting] = set()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def close(self) -> None:
        """Ask no more. Only then may the client be closed, which the thread uses."""
        self._closed.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def read(self, stream: str, after: str, timeout_s: float) -> list[Entry]:
        """The entries behind ``after``, once there is one; none when nothing comes in time.

        Raises redis.RedisError.
        """
        waiting = _Waiting(stream, after)
        with self._lock:
            self._waiting.add(waiting)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="stream-poller", daemon=True)
                self._thread.start()
        waiting.told.wait(timeout_s)
        with self._lock:
            self._waiting.discard(waiting)
        if waiting.error is not None:
            raise waiting.error
        return waiting.entries

    def _run(self) -> None:
        idle_ticks = 0
        while not self._closed.is_set():
            started = time.monotonic()
            with self._lock:
                waiting = list(self._waiting)
                idle_ticks = 0 if waiting else idle_ticks + 1
                if idle_ticks > _IDLE_TICKS:
                    self._thread = None
                    return
            if waiting:
                self._serve(waiting)
            self._closed.wait(max(0.0, started + TICK_S - time.monotonic()))

    def _serve(self, waiting: list[_Waiting]) -> None:
        """Read what has come and wake those for whom something has, or all at a fault."""
        # Of two who wait for one stream the second is asked for with the next tick.
        asked = {one.stream: one for one in waiting}
        try:
            found = self._redis.xread(
                {stream: one.after for stream, one in asked.items()}, count=MOST_ENTRIES
            )
        except redis.RedisError as error:
            self._fail(waiting, error)
            return
        except Exception as error:  # a crowd waits for this thread: it must outlive any fault
            log.exception("streams_not_read")
            self._fail(waiting, redis.RedisError(str(error)))
            return
        for name, entries in entries_by_stream(found):
            one = asked[name.decode()]
            one.entries = entries
            self._wake(one)

    def _fail(self, waiting: Iterable[_Waiting], error: redis.RedisError) -> None:
        for one in waiting:
            one.error = error
            self._wake(one)

    def _wake(self, one: _Waiting) -> None:
        with self._lock:
            self._waiting.discard(one)
        one.told.set()


def entries_by_stream(found: Any) -> Iterable[tuple[bytes, list[Entry]]]:
    """What XREAD gives, a list in version 2 of the protocol and a mapping in version 3."""
    return found.items() if isinstance(found, dict) else found or ()
