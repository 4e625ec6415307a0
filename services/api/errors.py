"""The one mapping from errors to HTTP answers, and the one error body (and the vendors')."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast

import structlog
from flask import Flask, Response, g, jsonify
from werkzeug.exceptions import HTTPException

from mynah.errors import MynahError
from services.api.compat.envelopes import vendor_error
from services.api.compat.vendors import current_vendor

log = structlog.get_logger(__name__)

UNAVAILABLE_RETRY_S = 2

_CODES = {
    400: "bad_request",
    404: "route_not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
    415: "unsupported_media_type",
    422: "invalid_request",
    429: "rate_limited",
}


def register_error_handlers(app: Flask) -> None:
    """Answer every error in the one body."""
    app.register_error_handler(MynahError, _answer_mynah_error)
    app.register_error_handler(HTTPException, _answer_http_error)
    app.register_error_handler(Exception, _answer_crash)


def error_response(
    status: int,
    message: str,
    error_code: str,
    errors: dict[str, Any] | None = None,
    retry_after_s: int | None = None,
) -> Response:
    """The error body: flask-smorest's fields and ``detail``, ``error_code``, ``request_id``.

    On the paths of another vendor's API it is that vendor's.
    ``retry_after_s`` is left in ``g`` for the end of the request, which has the last word on
    ``Retry-After``.
    """
    body: dict[str, Any] = {
        "code": status,
        "status": HTTPStatus(status).phrase,
        "message": message,
        "detail": message,
        "error_code": error_code,
        "request_id": structlog.contextvars.get_contextvars().get("request_id", ""),
    }
    if errors:
        body["errors"] = errors
    vendor = current_vendor()
    if vendor is not None:
        status, body = vendor_error(vendor, status, message, error_code, errors)
    response = jsonify(body)
    response.status_code = status
    g.retry_after_s = retry_after_s
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="mynah"'
    return response


def _answer_mynah_error(error: MynahError) -> Response:
    if error.status >= 500:
        log.warning("request_failed", error_code=error.code, exc_info=error.__cause__)
    retry_after_s = error.retry_after_s
    if retry_after_s is None and error.retryable:
        retry_after_s = UNAVAILABLE_RETRY_S
    return error_response(error.status, error.message, error.code, error.fields, retry_after_s)


def _answer_http_error(error: HTTPException) -> Response:
    status = error.code or 500
    if error.response is not None or status < 400:  # a redirect, or an answer made elsewhere
        return cast(Response, error.get_response())
    data = getattr(error, "data", None) or {}  # webargs and flask-smorest put details here
    errors = data.get("errors") or data.get("messages")
    message = data.get("message") or error.description or HTTPStatus(status).phrase
    code = _CODES.get(status, HTTPStatus(status).name.lower())
    response = error_response(status, message, code, errors)
    for name, value in error.get_headers():  # Allow of a 405, Content-Range of a 416
        if name != "Content-Type":
            response.headers[name] = value
    return response


def _answer_crash(error: Exception) -> Response:
    log.error("request_crashed", exc_info=error)
    return error_response(500, "Something went wrong on our side.", "internal_error")
