"""Work that none of its queue's workers can do ends with the reason, and only that."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, update

from mynah.contracts.states import JobState
from mynah.contracts.workers import EngineReport, WorkerReport
from mynah.db.models import Job
from mynah.jobs.mute_queues import fail_mute_jobs
from tests.factories import QUEUE, Database, add_job, add_user, job_row

WAIT_S = 30.0


def worker(
    given_back_s: float | None, queue: str = QUEUE, code: str | None = "checkpoint_damaged"
) -> WorkerReport:
    report = EngineReport(
        available=given_back_s is None,
        reason="its file x is damaged",
        code=code,
        queues=(queue,),
        given_back_s=given_back_s,
    )
    return WorkerReport(engines={"espeak": report})


def job_of_age(database: Database, age_s: float) -> Job:
    job = add_job(database, add_user(database.new_uow), pieces=2)
    with database.new_uow() as uow:
        created = func.now() - timedelta(seconds=age_s)
        uow.session.execute(update(Job).where(Job.id == job.id).values(created_at=created))
        uow.commit()
    return job


def test_a_job_that_only_broken_workers_could_do_fails_with_the_reason(database: Database) -> None:
    job, young = job_of_age(database, 31), job_of_age(database, 1)
    assert fail_mute_jobs(database.new_uow, [worker(31), worker(99)], WAIT_S) == 1
    failed = job_row(database, job.id)
    assert (failed.state, failed.error_code) == (JobState.FAILED, "checkpoint_damaged")
    assert "file x" in str(failed.error_message)
    assert job_row(database, young.id).state == JobState.PENDING
    assert fail_mute_jobs(database.new_uow, [worker(31)], WAIT_S) == 0


@pytest.mark.parametrize(
    "workers",
    [
        [],
        [worker(99), worker(None)],  # another takes such work
        [worker(99), worker(1)],  # another has only just given it back, and may be mended
        [worker(99, "tts.other.batch")],
        [worker(99, code=None)],  # it was loaded, and is being tested
        [WorkerReport()],
    ],
)
def test_what_somebody_may_yet_do_waits(database: Database, workers: list[WorkerReport]) -> None:
    job = job_of_age(database, 99)
    assert fail_mute_jobs(database.new_uow, workers, WAIT_S) == 0
    assert job_row(database, job.id).state == JobState.PENDING
