"""The assembly begins a little before the last piece is spoken, and waits for it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import update

from mynah.contracts.states import JobState, StepState
from mynah.db.clock import utc_now
from mynah.db.models import Job
from mynah.errors import Unavailable
from mynah.jobs.claims import Claim
from mynah.jobs.runner import Commit, StepRunner
from tests.factories import Database, add_job, add_user, job_row, steps_of
from tests.integration.jobs.test_running_steps import do_nothing


def began_ago(database: Database, job_id: object, seconds: float) -> None:
    """Let a job have been worked on for so long."""
    with database.new_uow() as uow:
        moment = utc_now() - timedelta(seconds=seconds)
        uow.session.execute(update(Job).where(Job.id == job_id).values(started_at=moment))
        uow.commit()


def state_of_assembly(database: Database, job_id: object) -> str:
    return steps_of(database, job_id)[-1].state  # type: ignore[arg-type]


def test_the_assembly_is_sent_when_the_last_pieces_take_seconds(
    database: Database, runner: StepRunner
) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=9)
    first, *rest = database.sender.take()
    runner.run(first, do_nothing)
    began_ago(database, job.id, 60.0)
    for payload in rest[:3]:
        runner.run(payload, do_nothing)
    assert state_of_assembly(database, job.id) == StepState.WAITING
    began_ago(database, job.id, 7.0)
    for payload in rest[3:7]:
        runner.run(payload, do_nothing)
    assert state_of_assembly(database, job.id) == StepState.READY
    assert job_row(database, job.id).steps_done == 8


def test_an_assembly_that_was_sent_early_is_sent_once(
    database: Database, runner: StepRunner
) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=6)
    sent = database.sender.take()
    for payload in sent:  # all within milliseconds: each is near the end
        runner.run(payload, do_nothing)
    (assembly,) = database.sender.take()
    runner.run(assembly, do_nothing)
    assert job_row(database, job.id).state == JobState.COMPLETED
    assert database.sender.take() == []


def test_an_assembly_that_came_too_early_is_tried_again_with_the_last_piece(
    database: Database, runner: StepRunner
) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=6)
    *sent, last = database.sender.take()
    for payload in sent:
        runner.run(payload, do_nothing)
    (assembly,) = database.sender.take()

    def wait_in_vain(claim: Claim) -> Commit:
        raise Unavailable("The last pieces are not spoken yet.")

    runner.run(assembly, wait_in_vain)
    assert database.sender.take() == []
    runner.run(last, do_nothing)
    (again,) = database.sender.take()
    runner.run(again, do_nothing)
    assert job_row(database, job.id).state == JobState.COMPLETED


def test_other_jobs_go_stage_by_stage(database: Database, runner: StepRunner) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=4, kind="clone")
    for payload in database.sender.take()[:3]:
        runner.run(payload, do_nothing)
    assert state_of_assembly(database, job.id) == StepState.WAITING
