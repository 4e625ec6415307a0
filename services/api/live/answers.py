"""The answer that goes on: it takes a slot, and gives it back however it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import UUID

import structlog
from flask import Response, request

from mynah.errors import NotAuthenticated
from services.api.auth.caller import current_caller
from services.api.auth.standing import Grant, Standing
from services.api.bootstrap import Container
from services.api.live.connection import Connection, StreamCut

log = structlog.get_logger(__name__)


def listener_connection(container: Container) -> Connection:
    """The connection of this request, cut when its listener takes nothing for too long."""
    return Connection(request.environ, container.settings.stream_stall_timeout_s)


def answer_stream(
    container: Container,
    job_id: UUID,
    body: Iterator[bytes],
    content_type: str,
    give_back: Callable[[], None] | None = None,
    *,
    grant: Grant | None = None,
) -> Response:
    """Answer with ``body`` as it comes. ``give_back``: of a slot that was taken already.

    ``grant``: of the listener, if not of this request's caller. An answer ends with it, but not
    with a caller's access token: it was asked for in time, and no other can be shown.

    Raises TooManyRequests or Unavailable without a slot.
    """
    if request.method == "HEAD":  # nothing is sent, so nothing would tell its end
        return Response((), content_type=content_type)
    give_back = give_back or container.slots.take(current_caller().user_id)
    grant = grant or replace(current_caller().grant, ends_at=None)
    told = _told(_granted(container, body, grant), job_id)
    response = Response(told, content_type=content_type)
    response.call_on_close(give_back)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would collect the answer
    return response


def _granted(container: Container, body: Iterator[bytes], grant: Grant) -> Iterator[bytes]:
    """``body``, as long as its listener's grant stands. Raises StreamCut then."""
    standing = Standing(container.new_uow, grant)
    within_s = container.settings.credential_check_interval_s
    for chunk in body:
        try:
            standing.ensure_beside(within_s)
        except NotAuthenticated as refusal:
            raise StreamCut(refusal.code) from refusal
        yield chunk


def _told(body: Iterator[bytes], job_id: UUID) -> Iterator[bytes]:
    """``body``, with a line in the log at its end."""
    started, sent, reason = time.monotonic(), 0, "listener left"
    try:
        for chunk in body:
            yield chunk
            sent += len(chunk)
        reason = "end"
    except StreamCut as cut:
        reason = str(cut.strerror)
        raise
    finally:
        seconds = round(time.monotonic() - started, 3)
        log.info("stream_ended", job_id=str(job_id), reason=reason, bytes=sent, duration_s=seconds)
