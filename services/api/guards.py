"""What is refused before a resource sees it: bodies, texts and addresses that cannot be right."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import Flask, request
from werkzeug.exceptions import BadRequest

from mynah.errors import InvalidRequest, PayloadTooLarge
from services.api.bootstrap import current_container
from services.api.texts import check_storable, is_unstorable

MAX_JSON_BYTES = 2 * 1024 * 1024
MAX_JSON_DEPTH = 32
MAX_QUERY_BYTES = 8 * 1024
_BATCH_PATH = "/api/tts/batch"


def register_guards(app: Flask) -> None:
    """Check every request before it is handled."""
    app.before_request(_check_address)
    app.before_request(_check_size)
    app.before_request(_check_json)


def _check_address() -> None:
    raw = request.environ.get("QUERY_STRING", "")
    if len(raw) > MAX_QUERY_BYTES:
        raise PayloadTooLarge("The query is too long.")
    for text in (request.path, raw):
        _decode(unquote_to_bytes(text.encode("utf-8", "surrogateescape")), "address")
    if any(is_unstorable(value) for values in request.args.listvalues() for value in values):
        raise InvalidRequest("The address holds NUL.", code="invalid_text")
    if "\x00" in request.path:
        raise InvalidRequest("The address holds NUL.", code="invalid_text")


def _check_size() -> None:
    settings = current_container().settings
    is_upload = (request.mimetype or "").startswith("multipart/")
    limit = (
        max(settings.max_upload_bytes, settings.max_import_bytes) if is_upload else _json_limit()
    )
    if request.content_length is not None and request.content_length > limit:
        raise PayloadTooLarge(f"The request is larger than {limit} bytes.")
    # For bodies that do not say how long they are. One byte more than allowed: werkzeug cuts a
    # body off at its limit without a word when it is read as a whole.
    request.max_content_length = limit + 1


def _json_limit() -> int:
    if request.path == _BATCH_PATH:
        return current_container().settings.max_batch_bytes
    return MAX_JSON_BYTES


def _check_json() -> None:
    if not request.is_json:
        return
    body = request.get_data(cache=True)
    if len(body) > (limit := _json_limit()):
        raise PayloadTooLarge(f"The request is larger than {limit} bytes.")
    text = _decode(body, "body")
    try:
        document = json.loads(text) if text else None
    except (ValueError, RecursionError):
        raise BadRequest("The body is not valid JSON.") from None
    _check_depth(document, 0)
    if request.path == _BATCH_PATH and isinstance(document, dict):
        document = {**document, "items": None}  # they are judged one by one, by their schema
    check_storable(document)


def _check_depth(document: Any, depth: int) -> None:
    if depth > MAX_JSON_DEPTH:
        raise InvalidRequest("The body is nested too deeply.", code="nested_too_deeply")
    if isinstance(document, dict):
        document = list(document.values())
    if isinstance(document, list):
        for value in document:
            _check_depth(value, depth + 1)


def _decode(raw: bytes, where: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest(f"The {where} is not valid UTF-8.") from None
