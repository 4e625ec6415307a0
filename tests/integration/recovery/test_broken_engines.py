"""A worker that cannot load an engine leaves its work to others, until it can."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from mynah.contracts.states import ENDED_JOB_STATES, JobState, Lane
from mynah.contracts.workers import EngineReport
from mynah.db.models import Step
from mynah.messaging.presence import Presence
from services.api.use_cases.engines import engine_status
from tests.integration.recovery.conftest import Workers
from tests.parts import ServiceProcess, wait_for

BREAKABLE = "tests.integration.recovery.breakable_worker"
TEXT = "The lamp is lit."


@pytest.fixture(scope="module")
def mark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """While this file is there, the worker cannot load its engine."""
    path = tmp_path_factory.mktemp("breakable") / "broken"
    path.touch()
    return path


@pytest.fixture(scope="module")
def breakable(workers: Workers, mark: Path) -> Iterator[ServiceProcess]:
    """A worker in a pool of threads; another module's workers serve the batch lane as well."""
    process = workers.start_worker(
        "breakable", BREAKABLE, "tts.espeak.live,tts.espeak.batch", "threads", 2,
        BROKEN_WHILE=str(mark), MYNAH_WARM_ENGINES="",  # it finds out by its first piece
    )  # fmt: skip
    yield process
    process.stop()


def log_of(process: ServiceProcess) -> str:
    return process.log.read_text()


def attempts(workers: Workers, job_id: UUID) -> int:
    with workers.new_uow() as uow:
        return max(step.attempts for step in uow.session.query(Step).filter_by(job_id=job_id))


def said_by(presence: Presence, name: str) -> EngineReport | None:
    reports = presence.reports().items()
    return next((each.engines["espeak"] for n, each in reports if n.startswith(f"{name}@")), None)


@pytest.fixture(scope="module")
def presence(workers: Workers) -> Iterator[Presence]:
    opened = Presence(workers.settings)
    yield opened
    opened.close()


def test_beside_a_healthy_worker_no_job_notices_a_broken_one(
    workers: Workers, breakable: ServiceProcess, presence: Presence, user_id: UUID
) -> None:
    jobs = []

    def order_until_it_took_one() -> bool:
        jobs.append(workers.speak(user_id, TEXT * 5))
        return "queues_given_back" in log_of(breakable)

    wait_for(order_until_it_took_one, 20, "the broken worker takes a piece", interval_s=0.2)
    jobs += [workers.speak(user_id, TEXT) for _ in range(4)]
    for job_id in jobs:
        workers.wait_completed(job_id, 30)
        assert attempts(workers, job_id) == 1
    wait_for(lambda: (said := said_by(presence, "breakable")) and said.reason, 10, "it is told")
    said = said_by(presence, "breakable")
    assert said is not None
    assert (said.available, said.code, said.loaded) == (False, "checkpoint_damaged", False)
    assert "file x" in str(said.reason)
    assert said.given_back_s is not None
    status = engine_status("espeak", presence.reports())
    assert (status.available, status.reason, len(status.faults)) == (True, None, 1)


def test_work_that_only_broken_workers_could_do_fails_with_the_reason(
    workers: Workers, breakable: ServiceProcess, user_id: UUID
) -> None:
    job_id = workers.speak(user_id, TEXT, lane=Lane.LIVE)
    wait_for(lambda: workers.job(job_id).state in ENDED_JOB_STATES, 20, "the job hangs")
    job = workers.job(job_id)
    assert (job.state, job.error_code) == (JobState.FAILED, "checkpoint_damaged")
    assert "file x" in str(job.error_message)


def test_a_mended_worker_takes_work_again_live_before_batch(
    workers: Workers, breakable: ServiceProcess, mark: Path, user_id: UUID
) -> None:
    mark.unlink()
    wait_for(lambda: "queues_taken_again" in log_of(breakable), 20, "it looks again")
    workers.processes["speaker"].kill()
    try:
        for lane in (Lane.LIVE, Lane.BATCH):
            workers.wait_completed(workers.speak(user_id, TEXT, lane=lane), 30)
    finally:
        workers.start_speaker("speaker")
