"""Lines between two processes of the gateway: one holds a conversation, the other its new socket.

A line is two Redis lists, ``up`` to the conversation and ``down`` to the client, and each process
has a list of the calls to it. What lies there is short, and gone after a minute.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

import redis

from mynah.errors import BrokerUnavailable
from mynah.settings import Settings

READ_TIMEOUT_S = 3.0
TTL_S = 60
CALL_TTL_S = 10
#: Longer than a busy process may be silent, shorter than a client waits for one that is gone.
PRESENCE_TTL_S = 15


class Kind(Enum):
    """What a message on a line is."""

    TEXT = b"t"
    BINARY = b"b"
    ALIVE = b"a"
    REFUSED = b"r"
    CLOSED = b"c"
    BROKEN = b"x"


@dataclass(frozen=True, slots=True)
class Call:
    """Asks a process to go on with one of its conversations, over the line named ``line``.

    ``received_events`` None: the client has not counted them. ``key_id`` and ``ends_at``: of the
    credentials that the client came back with.
    """

    session: str
    user_id: UUID
    line: str
    received_bytes: int
    received_events: int | None
    key_id: UUID | None = None
    ends_at: datetime | None = None

    def to_json(self) -> str:
        """As ``from_json`` reads it."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: bytes) -> Call:
        """What ``to_json`` wrote. Raises ValueError, TypeError or KeyError for anything else."""
        said = json.loads(text)
        key_id, ends_at = said["key_id"], said["ends_at"]
        return cls(
            **{
                **said,
                "user_id": UUID(said["user_id"]),
                "key_id": None if key_id is None else UUID(key_id),
                "ends_at": None if ends_at is None else datetime.fromisoformat(ends_at),
            }
        )


class SocketLines:
    """All lines of a gateway's process. Methods raise BrokerUnavailable."""

    def __init__(self, settings: Settings) -> None:
        self._redis: Any = redis.Redis.from_url(
            settings.redis_url, socket_connect_timeout=1.0, socket_timeout=READ_TIMEOUT_S
        )

    def call(self, process: str, call: Call) -> None:
        """Call a process, which answers on the line."""
        self._push(_calls(process), call.to_json().encode(), CALL_TTL_S)

    def is_there(self, process: str) -> bool:
        """Whether a process has looked for calls lately."""
        try:
            return bool(self._redis.exists(_presence(process)))
        except redis.RedisError as error:
            raise BrokerUnavailable from error

    def next_call(self, process: str, timeout_s: float) -> Call | None:
        """The next call to a process; None: none came in time (below READ_TIMEOUT_S)."""
        try:
            self._redis.set(_presence(process), b"", ex=PRESENCE_TTL_S)
        except redis.RedisError as error:
            raise BrokerUnavailable from error
        found = self._pop(_calls(process), timeout_s)
        return None if found is None else Call.from_json(found)

    def send(self, line: str, way: str, kind: Kind, data: bytes = b"") -> int:
        """Put a message on a line; how many lie there now. ``way``: "up" or "down"."""
        return self._push(_line(line, way), kind.value + data, TTL_S)

    def receive(self, line: str, way: str, timeout_s: float) -> tuple[Kind, bytes] | None:
        """The next message; None: none came in time (below READ_TIMEOUT_S)."""
        found = self._pop(_line(line, way), timeout_s)
        return None if found is None else (Kind(found[:1]), found[1:])

    def waiting(self, line: str, way: str) -> int:
        """How many messages lie on a line."""
        try:
            return int(self._redis.llen(_line(line, way)))
        except redis.RedisError as error:
            raise BrokerUnavailable from error

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _push(self, key: str, data: bytes, ttl_s: int) -> int:
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.rpush(key, data)
                pipeline.expire(key, ttl_s)
                return int(pipeline.execute()[0])
        except redis.RedisError as error:
            raise BrokerUnavailable from error

    def _pop(self, key: str, timeout_s: float) -> bytes | None:
        try:
            found = self._redis.blpop([key], timeout=max(0.01, timeout_s))
        except redis.RedisError as error:
            raise BrokerUnavailable from error
        return None if found is None else bytes(found[1])


def _calls(process: str) -> str:
    return f"mynah:sockets:{process}"


def _presence(process: str) -> str:
    return f"{_calls(process)}:there"


def _line(line: str, way: str) -> str:
    return f"mynah:socket:{line}:{way}"
