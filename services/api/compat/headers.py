"""The headers that the vendors' SDKs and apps read on every answer."""

from __future__ import annotations

import structlog
from flask import Flask, Response, g

from services.api.compat.vendors import Vendor, current_vendor

# The longest wait that OpenAI's SDK follows; a longer one it takes for none, and tries at once.
_LONGEST_RETRY_S = 120


def register_vendor_headers(app: Flask) -> None:
    """Write them on the answers of the vendors' paths."""
    app.after_request(_write_headers)


def _write_headers(response: Response) -> Response:
    vendor = current_vendor()
    if vendor is Vendor.ELEVENLABS:
        # ElevenLabs' names for X-Request-ID, which OpenAI's SDK reads as it is.
        request_id = structlog.contextvars.get_contextvars().get("request_id", "")
        response.headers["request-id"] = response.headers["x-trace-id"] = request_id
    if vendor is Vendor.OPENAI:
        _write_openai_limits(response)
        if (g.get("retry_after_s") or 0) > _LONGEST_RETRY_S:
            response.headers["x-should-retry"] = "false"
    return response


def _write_openai_limits(response: Response) -> None:
    """The limiter's figures under OpenAI's names."""
    for theirs, ours in (("limit", "Limit"), ("remaining", "Remaining")):
        value = response.headers.get(f"X-RateLimit-{ours}")
        if value is not None:
            response.headers[f"x-ratelimit-{theirs}-requests"] = value
