"""Orders that wait for their link to be opened: in Redis, until they expire."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import redis

from mynah.errors import BrokerUnavailable
from mynah.settings import Settings


class StreamLinks:
    """What links to streams stand for; losing it costs the links."""

    def __init__(self, settings: Settings) -> None:
        self._redis: Any = redis.Redis.from_url(
            settings.redis_url, socket_connect_timeout=1.0, socket_timeout=1.0
        )

    def keep(self, link_id: UUID, document: dict[str, Any], lifetime_s: int) -> None:
        """Keep a JSON document for so long. Raises BrokerUnavailable."""
        try:
            self._redis.set(_key(link_id), json.dumps(document), ex=lifetime_s)
        except redis.RedisError as error:
            raise BrokerUnavailable from error

    def find(self, link_id: UUID) -> dict[str, Any] | None:
        """The document of a link; None once it expired. Raises BrokerUnavailable."""
        try:
            text = self._redis.get(_key(link_id))
        except redis.RedisError as error:
            raise BrokerUnavailable from error
        return None if text is None else dict(json.loads(text))

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()


def _key(link_id: UUID) -> str:
    return f"mynah:live:link:{link_id}"
