"""The text messages of a WebSocket: JSON objects with a ``type``."""

from __future__ import annotations

import json
from typing import Any

from mynah.errors import InvalidRequest
from services.api.texts import is_unstorable

FLUSH, END = "flush", "end"


def read_object(message: str | bytes) -> dict[str, Any]:
    """The JSON object of a text message. Raises InvalidRequest."""
    if isinstance(message, bytes):
        raise InvalidRequest("Binary messages are not taken here.", code="binary_not_taken")
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):
        raise InvalidRequest("A message is not valid JSON.", code="invalid_json") from None
    if not isinstance(said, dict):
        raise InvalidRequest("A message is an object.", code="unknown_message")
    return said


def read_message(message: str | bytes) -> dict[str, Any]:
    """A client's message. Raises InvalidRequest."""
    said = read_object(message)
    if not isinstance(said.get("type"), str):
        raise InvalidRequest("A message is an object with a type.", code="unknown_message")
    if any(isinstance(value, str) and is_unstorable(value) for value in said.values()):
        raise InvalidRequest("A text holds NUL or lone surrogates.", code="invalid_text")
    return said


def show(kind: str, **values: Any) -> str:
    """A message to a client."""
    return json.dumps({"type": kind, **values})
