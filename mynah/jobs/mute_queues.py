"""Work that waits for an engine which none of its workers can use: it ends with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

import structlog

from mynah.contracts.workers import EngineReport, WorkerReport
from mynah.db.unit_of_work import UnitOfWorkFactory
from mynah.errors import EngineUnavailable
from mynah.jobs.transitions import fail_job

log = structlog.get_logger(__name__)

BATCH = 100


def fail_mute_jobs(
    new_uow: UnitOfWorkFactory, workers: Iterable[WorkerReport], wait_s: float
) -> int:
    """Fail the jobs older than ``wait_s`` that wait in a queue which all its workers gave back
    longer ago than that; how many they are.

    A queue without any worker is left alone: one may be on its way.
    """
    mute = find_mute_queues(workers, wait_s)
    if not mute:
        return 0
    with new_uow() as uow:
        waiting = uow.steps.waiting_jobs(list(mute), timedelta(seconds=wait_s), BATCH)
    for job_id, queue in waiting:
        error = EngineUnavailable(
            f"No speech worker can use the job's engine: {mute[queue].reason}.",
            code=mute[queue].code,
        )
        with new_uow() as uow:
            job = uow.jobs.locked(job_id)
            if job is not None:
                fail_job(uow, job, error)
            uow.commit()
        log.warning("mute_job_failed", job_id=str(job_id), queue=queue, error_code=error.code)
    return len(waiting)


def find_mute_queues(workers: Iterable[WorkerReport], wait_s: float) -> Mapping[str, EngineReport]:
    """The queues that every worker which was started with them gave back longer ago than
    ``wait_s``, and what one of these says of the engine. One without a fault is being tested."""
    said: dict[str, list[EngineReport]] = {}
    for worker in workers:
        for report in worker.engines.values():
            for queue in report.queues:
                said.setdefault(queue, []).append(report)
    return {
        queue: reports[0]
        for queue, reports in said.items()
        if all(_has_given_up(each, wait_s) for each in reports)
    }


def _has_given_up(report: EngineReport, wait_s: float) -> bool:
    given_back_s = report.given_back_s
    return report.code is not None and given_back_s is not None and given_back_s >= wait_s
