"""Jobs that are placed and paid in one statement, on a real database."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest

from mynah.contracts.states import JobKind, JobState, StepState
from mynah.contracts.tasks import SYNTHESIZE
from mynah.db.ids import new_id
from mynah.db.models import Job, Usage
from mynah.errors import Conflict
from mynah.jobs.runner import StepRunner
from mynah.jobs.submission import PiecePlan, StepPlan, submit_charged_job
from tests.factories import QUEUE, Database, add_user, job_row, steps_of
from tests.integration.jobs.test_running_steps import do_nothing

PERIOD = "2026-11"
PLANS = [StepPlan(SYNTHESIZE, QUEUE, 0, PiecePlan(f"Piece {number}.", 0)) for number in range(3)]


def place(database: Database, user_id: UUID, characters: int, quota: int) -> Job | None:
    """Place a job of three pieces, two of them released; None beyond the quota."""
    job = Job(
        id=new_id(),
        user_id=user_id,
        kind=JobKind.LIVE,
        request={"text": "x"},
        request_id="r-1",
        characters=characters,
        usage_period=PERIOD,
    )
    with database.new_uow() as uow:
        uow.each_by_itself()
        pieces = submit_charged_job(uow, job, PLANS, 2, quota, is_durable=False)
        uow.commit()
    return None if pieces is None else job


def used(database: Database, user_id: UUID) -> tuple[int, int]:
    """The characters and jobs that a user has used this month."""
    with database.sessions() as session:
        usage = session.get(Usage, (user_id, PERIOD))
        return (0, 0) if usage is None else (usage.characters, usage.jobs)


def test_a_charged_job_is_there_as_any_other_and_can_be_worked_on(
    database: Database, runner: StepRunner
) -> None:
    user_id = add_user(database.new_uow)
    job = place(database, user_id, 30, 100)
    assert job is not None
    steps = steps_of(database, job.id)
    assert [step.state for step in steps] == [StepState.READY, StepState.READY, StepState.WAITING]
    messages = database.sender.take()
    assert [message.step_id for message in messages] == [steps[0].id, steps[1].id]
    for message in messages:
        runner.run(message, do_nothing)
    for message in database.sender.take():
        runner.run(message, do_nothing)
    assert job_row(database, job.id).state == JobState.COMPLETED
    assert used(database, user_id) == (30, 1)


def test_what_is_beyond_the_quota_leaves_nothing(database: Database) -> None:
    user_id = add_user(database.new_uow)
    assert place(database, user_id, 101, 100) is None
    assert used(database, user_id) == (0, 0)
    assert place(database, user_id, 60, 100) is not None
    assert place(database, user_id, 41, 100) is None
    assert place(database, user_id, 40, 100) is not None
    assert used(database, user_id) == (100, 2)
    with database.sessions() as session:
        assert session.query(Job).filter_by(user_id=user_id).count() == 2
    assert len(database.sender.take()) == 4


def test_many_at_once_stay_within_the_quota(database: Database) -> None:
    user_id = add_user(database.new_uow)
    placed: list[Job | None] = []
    threads = [
        threading.Thread(target=lambda: placed.append(place(database, user_id, 30, 100)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(job is not None for job in placed) == 3
    assert used(database, user_id) == (90, 3)


def test_a_job_that_cannot_be_there_costs_nothing(database: Database) -> None:
    user_id = add_user(database.new_uow)
    job = place(database, user_id, 30, 100)
    assert job is not None
    again = Job(
        id=job.id, user_id=user_id, kind=JobKind.LIVE, request={}, characters=5, usage_period=PERIOD
    )
    with pytest.raises(Conflict), database.new_uow() as uow:
        uow.each_by_itself()
        submit_charged_job(uow, again, PLANS, 2, 100, is_durable=False)
    assert used(database, user_id) == (30, 1)
