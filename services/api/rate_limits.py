"""Rate limits per caller, counted in Redis; without Redis each process counts for itself.

A caller has one budget for all routes, however its credentials are written: an API key its own,
everybody else their account's. Who shows no valid credentials shares the budget of its address.
"""

from __future__ import annotations

import time
from typing import Any, cast

from flask import Flask, g, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from limits.storage import RedisStorage

from mynah.errors import MynahError
from mynah.settings import Settings
from services.api.auth.caller import current_caller

# A slow Redis must not hold up requests.
REDIS_TIMEOUTS: Any = {"socket_connect_timeout": 0.5, "socket_timeout": 0.5}
_CREDENTIAL_PATHS = ("/api/auth/login", "/api/auth/register", "/api/auth/refresh")
_SCHEME = "counted+"
_COUNT = b"""
local count = redis.call("incrby", KEYS[1], ARGV[2])
if count == tonumber(ARGV[2]) then redis.call("expire", KEYS[1], ARGV[1]) end
return {count, redis.call("ttl", KEYS[1])}
"""
_FREE_PATHS = ("/health", "/ready", "/metrics")


class CountedStorage(RedisStorage):
    """Redis' counters, asked once per request.

    The library would ask twice more for the headers of the answer, between the first sound of
    live speech and its listener.
    """

    STORAGE_SCHEME = [f"{_SCHEME}redis", f"{_SCHEME}rediss"]  # noqa: RUF012 - as in its base

    def __init__(self, uri: str, **options: Any) -> None:
        super().__init__(uri.removeprefix(_SCHEME), **options)
        self._count = self.get_connection().register_script(_COUNT)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count a request; how many there were in this window, with it."""
        count, left_s = self._count([self.prefixed_key(key)], [expiry, amount])
        g.counted = {key: (int(count), time.time() + max(int(left_s), 0))}
        return int(count)

    def get(self, key: str) -> int:
        """How many requests there were when this one was counted."""
        return self._counted(key)[0]

    def get_expiry(self, key: str) -> float:
        """When the window ends, in seconds since 1970."""
        return self._counted(key)[1]

    @staticmethod
    def _counted(key: str) -> tuple[int, float]:
        counted = cast(dict[str, tuple[int, float]], g.get("counted", {}))
        return counted.get(key, (0, time.time()))  # Redis came back since: this one was not counted


def register_rate_limits(app: Flask, settings: Settings) -> None:
    """Limit all routes together; those that take passwords more strictly, by address."""
    limiter = Limiter(
        _caller_name,
        app=app,
        storage_uri=_SCHEME + settings.redis_url,
        storage_options=REDIS_TIMEOUTS,
        strategy="fixed-window",
        in_memory_fallback_enabled=True,
        headers_enabled=True,
        application_limits=[lambda: f"{_limit_per_minute(settings)} per minute"],
        key_prefix="mynah",
    )
    limiter.request_filter(lambda: request.path in _FREE_PATHS)


def _limit_per_minute(settings: Settings) -> int:
    if request.path in _CREDENTIAL_PATHS:
        return settings.auth_rate_limit_per_minute
    return settings.rate_limit_per_minute


def _caller_name() -> str:
    """Who is counted. Never raises: the limiter would take it for a fault of Redis."""
    if request.path in _CREDENTIAL_PATHS:
        return f"login:{get_remote_address()}"
    try:
        caller = current_caller()
    except MynahError:  # the route itself refuses, if it needs a caller
        return f"address:{get_remote_address()}"
    return f"caller:{caller.key_id or caller.user_id}"
