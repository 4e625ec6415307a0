"""Sends tasks by contract, and asks the broker how much waits."""

from __future__ import annotations

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mynah.contracts.tasks import PayloadT, TaskContract
from mynah.errors import BrokerUnavailable
from mynah.messaging.task_message import encode_task
from mynah.settings import Settings

# A broker that hangs must not hold up a request: the sweeper sends what was not sent.
SOCKET_TIMEOUT_S = 1.0


class CelerySender:
    """Puts messages on the queues of Celery's workers. Nothing connects before its first use."""

    def __init__(self, settings: Settings) -> None:
        self._redis: Any = redis.Redis.from_url(
            settings.redis_url,
            socket_connect_timeout=2 * SOCKET_TIMEOUT_S,
            socket_timeout=SOCKET_TIMEOUT_S,
            retry=Retry(NoBackoff(), 1),  # a pooled connection may be a dead one
        )

    def connect(self) -> None:
        """Connect before the first message. Raises BrokerUnavailable."""
        try:
            self._redis.ping()
        except redis.RedisError as error:
            raise BrokerUnavailable from error

    def send(
        self, contract: TaskContract[PayloadT], payload: PayloadT, queue: str | None = None
    ) -> None:
        """Send one message. Raises BrokerUnavailable."""
        if not isinstance(payload, contract.payload_type):
            raise TypeError(f"{contract.name} takes {contract.payload_type.__name__}")
        queue = queue or contract.queue_for()
        arguments = payload.model_dump(mode="json")
        message = encode_task(contract.name, arguments, queue, contract.expires_s)
        try:
            self._redis.lpush(queue, message)
        except redis.RedisError as error:
            raise BrokerUnavailable from error

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()


class Broker:
    """Looks at the broker itself."""

    def __init__(self, settings: Settings) -> None:
        self._redis: Any = redis.Redis.from_url(
            settings.redis_url, socket_connect_timeout=2.0, socket_timeout=2.0
        )

    def queue_depth(self, queue: str) -> int:
        """Messages waiting in a queue. Raises BrokerUnavailable."""
        try:
            return int(self._redis.llen(queue))
        except redis.RedisError as error:
            raise BrokerUnavailable from error

    def ping(self) -> None:
        """Raises BrokerUnavailable when the broker does not answer."""
        try:
            self._redis.ping()
        except redis.RedisError as error:
            raise BrokerUnavailable from error

    def flush(self) -> None:
        """Forget every message of this broker's database. Raises BrokerUnavailable."""
        try:
            self._redis.flushdb()
        except redis.RedisError as error:
            raise BrokerUnavailable from error

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()
