"""Which workers live: each says so every few seconds, and is forgotten when it falls silent.

In Redis: a set of names, and beside it one key per worker that expires by itself. Losing both
costs nothing: the next announcement writes them again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import redis
import structlog
from pydantic import ValidationError

from mynah.contracts.workers import WorkerReport
from mynah.errors import BrokerUnavailable
from mynah.settings import Settings

log = structlog.get_logger(__name__)

ANNOUNCE_INTERVAL_S = 5.0
# Two announcements may be lost before a worker counts as dead.
SILENCE_S = 16.0
STOP_TIMEOUT_S = 2.0

_NAMES = "mynah:workers"


class Presence:
    """The list of living workers. Nothing connects before its first use."""

    def __init__(self, settings: Settings, silence_s: float = SILENCE_S) -> None:
        self._silence_ms = int(silence_s * 1000)
        self._redis: Any = redis.Redis.from_url(
            settings.redis_url, socket_connect_timeout=2.0, socket_timeout=2.0
        )

    def announce(self, name: str, report: WorkerReport) -> None:
        """Say that a worker lives. Raises BrokerUnavailable."""
        try:
            with self._redis.pipeline() as pipeline:
                pipeline.set(_key(name), report.model_dump_json(), px=self._silence_ms)
                pipeline.sadd(_NAMES, name)
                pipeline.execute()
        except redis.RedisError as error:
            raise BrokerUnavailable from error

    def withdraw(self, name: str) -> None:
        """Say that a worker ends. Raises BrokerUnavailable."""
        try:
            self._redis.delete(_key(name))
        except redis.RedisError as error:
            raise BrokerUnavailable from error

    def reports(self) -> dict[str, WorkerReport]:
        """The living workers by name. Raises BrokerUnavailable."""
        try:
            names = sorted(name.decode() for name in self._redis.smembers(_NAMES))
            found = self._redis.mget([_key(name) for name in names]) if names else []
            gone = [name for name, text in zip(names, found, strict=True) if text is None]
            if gone:
                self._redis.srem(_NAMES, *gone)
        except redis.RedisError as error:
            raise BrokerUnavailable from error
        parsed = {
            name: _parse(text) for name, text in zip(names, found, strict=True) if text is not None
        }
        return {name: report for name, report in parsed.items() if report is not None}

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()


class Announcer:
    """A thread that announces one worker until it is stopped."""

    def __init__(self, presence: Presence, interval_s: float = ANNOUNCE_INTERVAL_S) -> None:
        self._presence = presence
        self._interval_s = interval_s
        self._stopped = threading.Event()
        self._name = ""
        self._thread: threading.Thread | None = None

    def start(self, name: str, describe: Callable[[], WorkerReport]) -> None:
        """Announce what ``describe`` says, at once, then again and again."""
        self._name = name
        self._thread = threading.Thread(
            # asked here first: what it imports is there before the worker forks again
            target=self._run,
            args=(describe(), describe),
            name="announcer",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """Withdraw; a worker that never started has nothing to withdraw."""
        self._stopped.set()
        if self._thread is None:
            return
        self._thread.join(STOP_TIMEOUT_S)  # an announcement behind the withdrawal would undo it
        try:
            self._presence.withdraw(self._name)
        except BrokerUnavailable:
            log.warning("worker_not_withdrawn", worker=self._name)

    def _run(self, report: WorkerReport, describe: Callable[[], WorkerReport]) -> None:
        while True:
            try:
                self._presence.announce(self._name, report)
            except BrokerUnavailable:
                log.warning("worker_not_announced", worker=self._name)
            if self._stopped.wait(self._interval_s):
                return
            try:
                report = describe()
            except Exception:  # the worker lives all the same; what it said last stands
                log.exception("worker_not_described", worker=self._name)


def _key(name: str) -> str:
    return f"mynah:worker:{name}"


def _parse(text: bytes) -> WorkerReport | None:
    """None for the report of another release, which this one cannot read."""
    try:
        return WorkerReport.model_validate_json(text)
    except ValidationError:
        return None
