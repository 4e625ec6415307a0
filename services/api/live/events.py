"""A job's server-sent events (WHATWG HTML, section 9.2): its state, its progress, its end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from mynah.contracts.states import ENDED_JOB_STATES
from mynah.db.clock import utc_now
from mynah.db.models import Job
from mynah.db.repositories.jobs import JobFigures
from mynah.db.unit_of_work import UnitOfWorkFactory
from mynah.errors import MynahError
from mynah.jobs.progress import audio_done_of, eta_of
from services.api.live.connection import Connection, StreamCut
from services.api.live.watching import JobWatcher

log = structlog.get_logger(__name__)

CONTENT_TYPE = "text/event-stream"
#: How long a browser waits before it connects again.
RECONNECT_MS = 3000
#: A listener is sent away after this; a browser comes back by itself.
LONGEST_S = 3600.0
LOOK_FOR_LEAVERS_S = 0.5
HEARTBEAT = b": still there\n\n"


@dataclass(frozen=True, slots=True)
class JobEvents:
    """The events of one job for one listener. ``show`` makes a job's document."""

    new_uow: UnitOfWorkFactory
    watcher: JobWatcher
    connection: Connection
    heartbeat_s: float
    job_id: UUID
    pieces_total: int
    show: Callable[[Job], dict[str, Any]]

    def __iter__(self) -> Iterator[bytes]:
        """The stream: ``state`` first, ``progress`` at every change, the end's own event last.

        Raises StreamCut when the job's document cannot be read: the listener connects again.
        """
        yield f"retry: {RECONNECT_MS}\n\n".encode()
        is_first = True
        for figures in self._changes():
            if figures is None:
                yield HEARTBEAT
            elif figures.state in ENDED_JOB_STATES:
                yield self._document(figures.state, figures)
                return
            elif is_first:
                yield self._document("state", figures)
                is_first = False
            else:
                document = progress(figures, self.pieces_total)
                yield format_event("progress", event_id(figures), document)

    def _changes(self) -> Iterator[JobFigures | None]:
        """The figures at every change; None when nothing was sent for a while."""
        started = sent = time.monotonic()
        with self.watcher.watching(self.job_id) as watch:
            while time.monotonic() - started < LONGEST_S and not self.connection.is_gone():
                try:
                    figures = watch.next(min(LOOK_FOR_LEAVERS_S, self.heartbeat_s))
                except MynahError:  # deleted; a new request will say so
                    return
                if figures is not None or time.monotonic() - sent >= self.heartbeat_s:
                    yield figures
                    sent = time.monotonic()

    def _document(self, event: str, figures: JobFigures) -> bytes:
        try:
            with self.new_uow() as uow:
                document = self.show(uow.jobs.by_id(self.job_id))
        except MynahError as error:
            raise StreamCut(error.code) from error
        return format_event(event, event_id(figures), document)


def event_id(figures: JobFigures) -> str:
    """Names what a listener knows: the same id is the same state."""
    return f"{figures.steps_done}-{figures.state}"


def is_end(last_event_id: str) -> bool:
    """Whether a listener that comes back with this id has had the last event already."""
    return last_event_id.rpartition("-")[2] in ENDED_JOB_STATES


def progress(figures: JobFigures, pieces_total: int) -> dict[str, Any]:
    """How far a job is. The pieces are its first steps."""
    return {
        "job_id": str(figures.job_id),
        "status": figures.state,
        "progress": figures.progress,
        "audio_done_s": audio_done_of(figures),
        "estimated_duration_s": figures.estimated_duration_s,
        "eta_s": eta_of(figures, utc_now()),
        "pieces_done": min(figures.steps_done, pieces_total),
        "pieces_total": pieces_total,
    }


def format_event(event: str, identity: str, document: dict[str, Any]) -> bytes:
    """One event; JSON has no line feeds of its own."""
    return f"event: {event}\nid: {identity}\ndata: {json.dumps(document)}\n\n".encode()
