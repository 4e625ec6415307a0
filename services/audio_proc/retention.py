"""Remove outputs past their retention, work files of ended jobs, and old history."""

from __future__ import annotations

from datetime import timedelta

import structlog

from mynah.contracts.object_keys import work_folder
from mynah.contracts.states import JobKind
from mynah.db.clock import utc_now
from mynah.jobs.outputs import remove_leftovers, remove_objects, remove_output
from mynah.jobs.worker import WorkerContext

log = structlog.get_logger(__name__)

BATCH = 200
SMALL_ROWS_BATCH = 10_000
# A worker that was cut off in the middle of an upload may still write for a while.
WORK_FILES_GRACE = timedelta(seconds=60)


def expire(worker: WorkerContext) -> None:
    """One round of cleaning; bounded, the next round goes on."""
    outputs = _remove_outputs(worker)
    works = _remove_work_files(worker)
    history = _forget_history(worker)
    names = _forget_named_requests(worker)
    deliveries = _forget_deliveries(worker)
    done = {"outputs": outputs, "work_folders": works, "jobs": history}
    done |= {"names": names, "deliveries": deliveries}
    if any(done.values()):
        log.info("expired", **done)


def _remove_outputs(worker: WorkerContext) -> int:
    with worker.new_uow() as uow:
        jobs = uow.jobs.outputs_expired(utc_now(), BATCH)
        for job in jobs:
            remove_output(uow, worker.store, job)
        uow.commit()
        return len(jobs)


def _remove_work_files(worker: WorkerContext) -> int:
    with worker.new_uow() as uow:
        jobs = uow.jobs.with_work_files(utc_now() - WORK_FILES_GRACE, BATCH)
        for job in jobs:
            remove_objects(worker.store, work_folder(job.id))
            remove_leftovers(uow, worker.store, job)
            job.has_work_files = False
            if job.kind == JobKind.LIVE:  # of which nothing is kept but the user's sums
                uow.session.delete(job)
        uow.commit()
        return len(jobs)


def _forget_history(worker: WorkerContext) -> int:
    with worker.new_uow() as uow:
        before = utc_now() - timedelta(days=worker.settings.job_history_days)
        forgotten = uow.jobs.delete_ended_before(before, BATCH)
        uow.commit()
        return forgotten


def _forget_named_requests(worker: WorkerContext) -> int:
    with worker.new_uow() as uow:
        forgotten = uow.named_requests.delete_expired(SMALL_ROWS_BATCH)
        uow.commit()
        return forgotten


def _forget_deliveries(worker: WorkerContext) -> int:
    with worker.new_uow() as uow:
        before = utc_now() - timedelta(days=worker.settings.webhook_log_days)
        forgotten = uow.deliveries.delete_before(before, SMALL_ROWS_BATCH)
        uow.commit()
        return forgotten
