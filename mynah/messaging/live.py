"""Live speech between a worker and a listener: a Redis Stream of PCM for each piece.

Redis may lose all of it at any time. Whoever speaks goes on without a word, and whoever listens
goes on from the finished segment, which lies in the object store; so nothing here is a truth.

For each job with a listener there is a flag that expires: without it nobody publishes. When it
says that the listener has left, a worker stops in the middle of a piece.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from uuid import UUID

import redis
import structlog

from mynah.errors import BrokerUnavailable
from mynah.messaging.stream_poller import MOST_ENTRIES, Entry, StreamPoller, entries_by_stream
from mynah.settings import Settings

log = structlog.get_logger(__name__)

FLAG_TTL_S = 30
STREAM_TTL_S = 300
MAX_BLOCKS = 8192
# A worker must not wait long for what it can do without.
WRITE_TIMEOUT_S = 1.0
READ_TIMEOUT_S = 2.0
START = "0"
# Listeners of one process for whom Redis is asked by a command of their own, which is answered as
# soon as a block is there: when they wait for a piece's first, and for a later one.
MOST_FIRST_WAITS, MOST_WAITS = 32, 4

_WANTED, _LEFT = b"wanted", b"left"


class Interest(Enum):
    """Who waits for a job's speech."""

    NOBODY = "nobody"
    LISTENER = "listener"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class LiveBlock:
    """What stands in a piece's stream.

    ``attempt`` numbers the readings of the piece. ``offset`` is the frame at which ``pcm``
    (16-bit little-endian mono) begins; of the piece's end (``is_end``) its length in frames,
    with ``words``, a JSON list of ``SpokenWord``. ``id`` is its place in the stream, which
    Redis gives.
    """

    attempt: int
    offset: int
    pcm: bytes = b""
    is_end: bool = False
    words: str = "[]"
    id: str = START


class LiveWriter:
    """A worker's side. Never raises for Redis: then nobody hears the piece before it is done."""

    def __init__(self, settings: Settings) -> None:
        self._redis: Any = redis.Redis.from_url(
            settings.redis_url,
            socket_connect_timeout=WRITE_TIMEOUT_S,
            socket_timeout=WRITE_TIMEOUT_S,
        )

    def interest(self, job_id: UUID) -> Interest:
        """Who waits for the job's speech; nobody when Redis does not answer."""
        try:
            return _interest(self._redis.get(_flag(job_id)))
        except redis.RedisError as error:
            log.warning("live_interest_unknown", reason=type(error).__name__)
            return Interest.NOBODY

    def write(self, job_id: UUID, step_id: UUID, block: LiveBlock) -> Interest:
        """Append a block to a piece's stream; who still waits, in the same round trip."""
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                append_block(pipeline, job_id, step_id, block)
                return _interest(pipeline.execute()[-1])
        except redis.RedisError as error:
            log.warning("live_block_lost", reason=type(error).__name__)
            return Interest.NOBODY

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()


def append_block(pipeline: Any, job_id: UUID, step_id: UUID, block: LiveBlock) -> None:
    """The commands that append a block; the last one's answer is the job's flag."""
    key = _stream(step_id)
    fields: dict[str, Any] = {"a": block.attempt, "o": block.offset}
    fields |= {"w": block.words} if block.is_end else {"p": block.pcm}
    pipeline.xadd(key, fields, maxlen=MAX_BLOCKS, approximate=True)
    pipeline.expire(key, STREAM_TTL_S)
    pipeline.get(_flag(job_id))


class LiveReader:
    """A gateway's side."""

    def __init__(self, settings: Settings) -> None:
        self._redis: Any = redis.Redis.from_url(
            settings.redis_url, socket_connect_timeout=1.0, socket_timeout=READ_TIMEOUT_S
        )
        self._poller = StreamPoller(self._redis)
        self._lock = threading.Lock()
        self._waits = 0  # blocking commands now

    def want(self, job_id: UUID) -> None:
        """Say for a while that somebody listens. Raises BrokerUnavailable."""
        try:
            self._redis.set(_flag(job_id), _WANTED, ex=FLAG_TTL_S)
        except redis.RedisError as error:
            raise BrokerUnavailable from error

    def leave(self, job_id: UUID, step_ids: Iterable[UUID]) -> None:
        """Say that the listener left, and drop what was spoken. Raises BrokerUnavailable."""
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.set(_flag(job_id), _LEFT, ex=STREAM_TTL_S)
                for step_id in step_ids:
                    pipeline.unlink(_stream(step_id))
                pipeline.execute()
        except redis.RedisError as error:
            raise BrokerUnavailable from error

    def forget(self, step_id: UUID) -> None:
        """Drop the stream of a piece that was heard. Raises BrokerUnavailable."""
        try:
            self._redis.unlink(_stream(step_id))
        except redis.RedisError as error:
            raise BrokerUnavailable from error

    def read(self, step_id: UUID, after: str, timeout_s: float) -> list[LiveBlock]:
        """The blocks of a piece behind the one named ``after``, once there is one.

        An empty list when nothing comes within ``timeout_s``, which must be below READ_TIMEOUT_S.
        Raises BrokerUnavailable.
        """
        try:
            entries = self._entries(_stream(step_id), after, timeout_s)
        except redis.RedisError as error:
            raise BrokerUnavailable from error
        return [_parse(name, fields) for name, fields in entries]

    def _entries(self, stream: str, after: str, timeout_s: float) -> list[Entry]:
        """By a command of its own for the few, with all others for the many."""
        limit = MOST_FIRST_WAITS if after == START else MOST_WAITS
        with self._lock:
            is_one_of_few = self._waits < limit
            self._waits += is_one_of_few
        if not is_one_of_few:
            return self._poller.read(stream, after, timeout_s)
        try:
            block_ms = max(1, round(timeout_s * 1000))
            found = self._redis.xread({stream: after}, count=MOST_ENTRIES, block=block_ms)
            return [entry for _, entries in entries_by_stream(found) for entry in entries]
        finally:
            with self._lock:
                self._waits -= 1

    def close(self) -> None:
        """Close the connections."""
        self._poller.close()
        self._redis.close()


def _parse(name: bytes, fields: Mapping[bytes, bytes]) -> LiveBlock:
    words = fields.get(b"w")
    return LiveBlock(
        attempt=int(fields[b"a"]),
        offset=int(fields[b"o"]),
        pcm=fields.get(b"p", b""),
        is_end=words is not None,
        words="[]" if words is None else words.decode(),
        id=name.decode(),
    )


def _interest(flag: bytes | None) -> Interest:
    if flag == _LEFT:
        return Interest.LEFT
    return Interest.NOBODY if flag is None else Interest.LISTENER


def _flag(job_id: UUID) -> str:
    return f"mynah:live:job:{job_id}"


def _stream(step_id: UUID) -> str:
    return f"mynah:live:piece:{step_id}"
