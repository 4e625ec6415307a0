"""Rate limits per caller, counted in Redis; without Redis each process counts for itself.

A caller has one budget for all routes, however its credentials are written: an API key its own,
everybody else their account's. Who shows no valid credentials shares the budget of its address.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

from mynah.errors import MynahError
from mynah.settings import Settings
from services.api.auth.caller import current_caller

# A slow Redis must not hold up requests.
REDIS_TIMEOUTS: Any = {"socket_connect_timeout": 0.5, "socket_timeout": 0.5}
_CREDENTIAL_PATHS = ("/api/auth/login", "/api/auth/register", "/api/auth/refresh")
_FREE_PATHS = ("/health", "/ready", "/metrics")


def register_rate_limits(app: Flask, settings: Settings) -> None:
    """Limit all routes together; those that take passwords more strictly, by address."""
    limiter = Limiter(
        _caller_name,
        app=app,
        storage_uri=settings.redis_url,
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
