"""Sends tasks by contract, and asks the broker how much waits."""

from __future__ import annotations

from typing import Any

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from mynah.contracts.tasks import PayloadT, TaskContract
from mynah.errors import BrokerUnavailable
from mynah.settings import Settings

_ONE_QUICK_RETRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}


class CelerySender:
    """Puts messages on Celery's queues."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def send(
        self, contract: TaskContract[PayloadT], payload: PayloadT, queue: str | None = None
    ) -> None:
        """Send one message. Raises BrokerUnavailable."""
        if not isinstance(payload, contract.payload_type):
            raise TypeError(f"{contract.name} takes {contract.payload_type.__name__}")
        try:
            self._app.send_task(
                contract.name,
                kwargs=payload.model_dump(mode="json"),
                queue=queue or contract.queue_for(),
                expires=contract.expires_s,
                retry=True,  # once: a pooled connection may be a dead one
                retry_policy=_ONE_QUICK_RETRY,
                ignore_result=True,
            )
        except (OperationalError, redis.RedisError, OSError) as error:
            raise BrokerUnavailable from error


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
