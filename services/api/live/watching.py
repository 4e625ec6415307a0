"""One thread per process that looks at all watched jobs together, and wakes who waits.

It asks the truth itself, a few times a second, in one query by primary key, and only while
somebody listens. A channel of notifications would save some hundredths of a second, and would
need this poll beside it for what gets lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog

from mynah.db.repositories.jobs import JobFigures
from mynah.db.unit_of_work import UnitOfWorkFactory
from mynah.errors import MynahError, NotFound

log = structlog.get_logger(__name__)

LOOK_INTERVAL_S = 0.1
RETRY_INTERVAL_S = 1.0
MOST_OF_ITS_TIME = 0.04


@dataclass(slots=True)
class _Watched:
    """A job that somebody listens to; ``version`` grows with every change."""

    changed: threading.Condition
    listeners: int = 0
    version: int = 0
    figures: JobFigures | None = None


class Watch:
    """One listener's view of a job."""

    def __init__(self, watched: _Watched) -> None:
        self._watched = watched
        self._seen = 0

    def next(self, timeout_s: float) -> JobFigures | None:
        """The figures, once they differ from those of the last call; None: not in time.

        The first call returns them as they are. Raises NotFound when the job was deleted.
        """
        watched = self._watched
        with watched.changed:
            watched.changed.wait_for(lambda: watched.version > self._seen, timeout_s)
            if watched.version == self._seen:
                return None
            self._seen = watched.version
            if watched.figures is None:
                raise NotFound("There is no such job any more.", code="job_not_found")
            return watched.figures


class JobWatcher:
    """The jobs that this process's listeners wait for."""

    def __init__(self, new_uow: UnitOfWorkFactory) -> None:
        self._new_uow = new_uow
        self._lock = threading.Lock()
        self._jobs: dict[UUID, _Watched] = {}
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def watched(self) -> frozenset[UUID]:
        """The jobs that somebody watches now."""
        with self._lock:
            return frozenset(self._jobs)

    @contextmanager
    def watching(self, job_id: UUID, *, at_once: bool = True) -> Iterator[Watch]:
        """Watch a job while the block runs. Costs no thread and no query of its own.

        ``at_once``: its figures are wanted now, not only when it is time to look.
        """
        with self._lock:
            watched = self._jobs.setdefault(job_id, _Watched(threading.Condition(self._lock)))
            watched.listeners += 1
            if at_once:
                self._hurry.set()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="job-watcher", daemon=True)
                self._thread.start()
        try:
            yield Watch(watched)
        finally:
            with self._lock:
                watched.listeners -= 1
                if not watched.listeners:
                    del self._jobs[job_id]

    def _run(self) -> None:
        pause_s = LOOK_INTERVAL_S
        while True:
            self._hurry.wait(pause_s)
            with self._lock:
                job_ids = list(self._jobs)
                self._hurry.clear()
                if not job_ids:
                    self._thread = None  # the next listener starts another one
                    return
            started = time.monotonic()
            pause_s = LOOK_INTERVAL_S if self._look(job_ids) else RETRY_INTERVAL_S
            looked_s = time.monotonic() - started  # grows with the jobs, and when all is busy
            pause_s = max(pause_s, min(RETRY_INTERVAL_S, looked_s / MOST_OF_ITS_TIME))
            time.sleep(LOOK_INTERVAL_S / 10)  # nobody is asked about twice in a moment

    def _look(self, job_ids: list[UUID]) -> bool:
        """Read all and wake those whose job changed; False when the database is away."""
        try:
            with self._new_uow() as uow:
                seen = uow.each_by_itself().jobs.figures(job_ids)
            found = {figures.job_id: figures for figures in seen}
        except MynahError as error:
            log.warning("jobs_not_watched", error_code=error.code)
            return False
        except Exception:  # listeners wait for this thread: it must outlive any fault
            log.exception("jobs_not_watched")
            return False
        with self._lock:
            for job_id in job_ids:
                watched = self._jobs.get(job_id)
                if watched is None:
                    continue
                figures = found.get(job_id)
                if watched.version == 0 or figures != watched.figures:
                    watched.figures = figures
                    watched.version += 1
                    watched.changed.notify_all()
        return True
