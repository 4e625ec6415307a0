"""Redis for tests."""

from __future__ import annotations

import secrets
from pathlib import Path

import redis

from deploy.local.redis_server import RedisServer
from tests.parts.server import ServerPart


class RedisPart(ServerPart[RedisServer]):
    """A Redis in a temporary folder, its log of writes synced every second."""

    def __init__(self, folder: Path) -> None:
        password = secrets.token_urlsafe(16)
        super().__init__(
            "redis", folder, lambda port: RedisServer(folder / "redis", port, password)
        )

    def url(self, database: int = 0) -> str:
        """Return the address of a numbered database."""
        return self.server.url(database)

    def client(self, database: int = 0) -> redis.Redis:
        """Return a client; the caller closes it."""
        return redis.Redis.from_url(self.url(database))

    def flush(self) -> None:
        """Remove every key of every database."""
        with self.client() as client:
            client.flushall()
