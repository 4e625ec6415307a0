"""Small documents that wait in Redis for somebody who shows their name, until they expire."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import redis

from mynah.errors import BrokerUnavailable
from mynah.settings import Settings


class KeptDocuments:
    """Documents of one ``kind``. Losing them costs no more than asking again."""

    def __init__(self, settings: Settings, kind: str) -> None:
        self._kind = kind
        self._redis: Any = redis.Redis.from_url(
            settings.redis_url, socket_connect_timeout=1.0, socket_timeout=1.0
        )

    def keep(self, name: str, document: dict[str, Any], lifetime_s: int) -> None:
        """Keep a JSON document for so long. Raises BrokerUnavailable."""
        try:
            self._redis.set(self._key(name), json.dumps(document), ex=lifetime_s)
        except redis.RedisError as error:
            raise BrokerUnavailable from error

    def find(self, name: str) -> dict[str, Any] | None:
        """A document; None once it expired. Raises BrokerUnavailable."""
        return self._load(self._redis.get, name)

    def take(self, name: str) -> dict[str, Any] | None:
        """A document, which nobody finds again; of several who take it one gets it.

        None for all others, and once it expired. Raises BrokerUnavailable.
        """
        return self._load(self._redis.getdel, name)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _load(self, read: Callable[[str], Any], name: str) -> dict[str, Any] | None:
        try:
            text = read(self._key(name))
        except redis.RedisError as error:
            raise BrokerUnavailable from error
        return None if text is None else dict(json.loads(text))

    def _key(self, name: str) -> str:
        return f"mynah:live:{self._kind}:{name}"
