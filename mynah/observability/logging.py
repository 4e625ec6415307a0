"""JSON logs: one line per event, the same form from our code and from the libraries."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog

# API keys, single-use tokens, JSON Web Tokens, and the password of a part's address
_SECRETS = re.compile(
    r"mynah_[0-9a-f]{8}_[\w-]+|sutkn_[\w-]+|eyJ[\w-]+\.[\w-]+\.[\w-]+|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"
)
_QUIET = (
    *("urllib3", "kombu", "amqp", "celery.redirected", "numba", "asyncio"),
    "celery.worker.strategy",  # a line for each message, before its task begins
)


def configure_logging(service: str, level: str, fmt: str) -> None:
    """Log to stderr as JSON lines (``fmt`` "json") or for people ("console").

    The context variables of structlog (request_id, job_id, …) are in every line; what looks
    like a secret is in none.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_service(service),
        structlog.processors.format_exc_info,
        _hide_secrets,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if fmt == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _add_service(service: str) -> structlog.typing.Processor:
    def add(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["service"] = service
        return event

    return add


def _hide_secrets(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _SECRETS.sub("[secret]", value)
    return event
