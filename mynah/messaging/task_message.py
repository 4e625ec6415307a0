"""A task's message, as Celery's workers read it out of a list in Redis.

Celery's message protocol 2 (docs.celeryq.dev, "Message Protocol") in the envelope of Kombu's
transports without AMQP. Celery's own way to send makes a client of Redis for every message and
takes ten times as long, which live speech would wait for.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

_NO_FOLLOWERS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def encode_task(name: str, arguments: dict[str, Any], queue: str, expires_s: int | None) -> str:
    """The message of one task, which takes its arguments by name and leaves no result."""
    task_id = str(uuid4())
    headers = {
        "lang": "py",
        "task": name,
        "id": task_id,
        "root_id": task_id,
        "parent_id": None,
        "group": None,
        "eta": None,
        "expires": None if expires_s is None else _moment_in(expires_s),
        "retries": 0,
        "timelimit": [None, None],
        "argsrepr": "()",
        "kwargsrepr": repr(arguments),
        "ignore_result": True,
    }
    properties = {
        "correlation_id": task_id,
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": queue},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": str(uuid4()),
    }
    body = json.dumps([[], arguments, _NO_FOLLOWERS]).encode()
    envelope = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": properties,
    }
    return json.dumps(envelope)


def _moment_in(seconds: int) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
