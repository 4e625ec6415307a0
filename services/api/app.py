"""The gateway's Flask app."""

from __future__ import annotations

import re
import time
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import structlog
from flask import Flask, Response, g, request
from flask_smorest import Api
from werkzeug.middleware.proxy_fix import ProxyFix

import mynah
from mynah.observability.metrics import HTTP_REQUESTS, HTTP_SECONDS
from services.api.bootstrap import EXTENSION, Container
from services.api.compat.headers import register_vendor_headers
from services.api.errors import register_error_handlers
from services.api.guards import register_guards
from services.api.rate_limits import register_rate_limits
from services.api.resources import BLUEPRINTS, PLAIN_BLUEPRINTS
from services.api.schemas.common import ErrorSchema
from services.api.uploads import GatewayRequest

log = structlog.get_logger("gateway")

RATE_LIMIT_RETRY_S = 60
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_METHODS = {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"}
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}


class GatewayApi(Api):  # type: ignore[misc]
    """flask-smorest's API with this gateway's error body; every route names its own errors."""

    ERROR_SCHEMA = ErrorSchema
    DEFAULT_ERROR_RESPONSE_NAME = None


def create_app(container: Container) -> Flask:
    """Build the app around its parts."""
    app = Flask("services.api", static_folder=None)
    app.request_class = GatewayRequest
    app.extensions[EXTENSION] = container
    _believe_proxies(app, container.settings.trusted_proxies)
    app.config.update(_openapi_config(container.settings.public_url))
    app.json.sort_keys = False  # type: ignore[attr-defined]
    _register_request_context(app)
    register_vendor_headers(app)  # before the limits, so that it sees what they write
    register_guards(app)
    register_rate_limits(app, container.settings)
    api = GatewayApi(app)
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    for plain in PLAIN_BLUEPRINTS:
        app.register_blueprint(plain)
    register_error_handlers(app)
    return app


def _believe_proxies(app: Flask, count: int) -> None:
    """Take the caller's address from so many proxies; without any, headers are not believed."""
    if count:
        believing = ProxyFix(app.wsgi_app, x_for=count, x_proto=0)
        app.wsgi_app = believing  # type: ignore[method-assign]


def _openapi_config(public_url: str) -> dict[str, Any]:
    schemes = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    return {
        "API_TITLE": "Mynah",
        "API_VERSION": mynah.__version__,
        "OPENAPI_VERSION": "3.0.3",
        "OPENAPI_URL_PREFIX": "/",
        "OPENAPI_JSON_PATH": "openapi.json",
        "API_SPEC_OPTIONS": {
            "info": {"description": "A recording becomes a voice, a text becomes speech."},
            "servers": [{"url": public_url}],
            "components": {"securitySchemes": schemes},
        },
        # an upload's form fields; its files are limited on their own
        "MAX_FORM_MEMORY_SIZE": 1024 * 1024,
        "MAX_FORM_PARTS": 200,
    }


def _register_request_context(app: Flask) -> None:
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    g.started = time.perf_counter()
    given = request.headers.get("X-Request-ID", "")
    request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id)


def _end(response: Response) -> Response:
    context = structlog.contextvars.get_contextvars()
    response.headers["X-Request-ID"] = context.get("request_id", "")
    response.headers.update(_SECURITY_HEADERS)
    _write_retry_after(response)
    route = request.url_rule.rule if request.url_rule else "unmatched"
    seconds = time.perf_counter() - g.started
    # Callers may invent methods; each would be a series that is kept for good.
    method = request.method if request.method in _METHODS else "other"
    HTTP_REQUESTS.labels(method, route, str(response.status_code)).inc()
    HTTP_SECONDS.labels(method, route).observe(seconds)
    log.info(
        "request",
        method=request.method,
        route=route,
        status=response.status_code,
        duration_ms=round(seconds * 1000, 2),
    )
    return response


def _write_retry_after(response: Response) -> None:
    """What an error said; of the limiter's, which is on every answer, only a refusal's."""
    said = g.get("retry_after_s")
    if said is not None:
        response.headers["Retry-After"] = str(said)
    elif response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        response.headers.setdefault("Retry-After", str(RATE_LIMIT_RETRY_S))
    else:
        response.headers.pop("Retry-After", None)
