"""The vendors' error bodies, so that their SDKs raise the exceptions that apps expect."""

from __future__ import annotations

from typing import Any

from mynah.errors import MynahError
from services.api.compat.vendors import Vendor

Errors = dict[str, Any]

_OPENAI_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}
_OPENAI_CODES = {
    "text_too_long": "string_above_max_length",
    "rate_limited": "rate_limit_exceeded",
    "quota_exceeded": "insufficient_quota",
}
_ELEVENLABS_STATUSES = {
    "text_too_long": "max_character_limit_exceeded",
    "too_many_streams": "too_many_concurrent_requests",
    "missing_scope": "missing_permissions",
}
# What ElevenLabs answers with another HTTP status than this gateway.
_ELEVENLABS_HTTP = {"text_too_long": 400, "quota_exceeded": 401}


def vendor_error(
    vendor: Vendor, status: int, message: str, code: str, errors: Errors | None
) -> tuple[int, dict[str, Any]]:
    """The HTTP status and the body that the vendor has for an error of ours."""
    if vendor is Vendor.OPENAI:
        return status, _openai_error(status, message, code, errors)
    status = _ELEVENLABS_HTTP.get(code, status)
    if status == 422:
        return status, {"detail": _validation_details(message, code, errors)}
    return status, {"detail": {"status": _elevenlabs_status(status, code), "message": message}}


def socket_error(error: MynahError) -> dict[str, str]:
    """ElevenLabs' words for an error that ends a WebSocket."""
    message = f"{error.message} {_in_words(error.fields)}" if error.fields else error.message
    return {"message": message, "error": _elevenlabs_status(error.status, error.code)}


def _openai_error(status: int, message: str, code: str, errors: Errors | None) -> dict[str, Any]:
    kind = "server_error" if status >= 500 else _OPENAI_TYPES.get(status, "invalid_request_error")
    if code == "quota_exceeded":
        kind = "insufficient_quota"
    if status == 401:
        code = "invalid_api_key"
    if errors:
        message = f"{message} {_in_words(errors)}"
    shown = {
        "message": message,
        "type": kind,
        "param": next(iter(errors), None) if errors else None,
        "code": _OPENAI_CODES.get(code, code),
    }
    return {"error": shown}


def _elevenlabs_status(status: int, code: str) -> str:
    if status == 401 and code != "quota_exceeded":
        return "invalid_api_key"
    if status == 503:
        return "system_busy"
    return _ELEVENLABS_STATUSES.get(code, code)


def _validation_details(message: str, code: str, errors: Errors | None) -> list[dict[str, Any]]:
    """FastAPI's list of what is wrong where, as ElevenLabs answers it."""
    if not errors:
        return [{"loc": ["body"], "msg": message, "type": code}]
    return [
        {"loc": ["body", *_place(name)], "msg": " ".join(map(str, messages)), "type": code}
        for name, messages in errors.items()
    ]


def _place(name: str) -> list[str | int]:
    return [int(part) if part.isdecimal() else part for part in name.split(".")]


def _in_words(errors: Errors) -> str:
    return " ".join(f"{name}: {' '.join(map(str, said))}" for name, said in errors.items())
