"""Claims, leases, fencing, retries and cancelling, on a real database."""

from __future__ import annotations

import threading
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text, update

from mynah.contracts.states import JobState, StepState
from mynah.contracts.tasks import StepPayload
from mynah.db.models import Job, Piece, Step
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import Conflict, EngineFailed, MynahError, StorageUnavailable
from mynah.jobs.claims import Claim, claim_step
from mynah.jobs.runner import Commit, StepRunner
from mynah.jobs.sweeper import sweep
from mynah.jobs.transitions import cancel_job
from tests.factories import Database, add_job, add_user, job_row, steps_of
from tests.parts import wait_for

LEASE = timedelta(seconds=0.6)


def write_nothing(uow: UnitOfWork, job: Job) -> None:
    """A step without a result."""


def do_nothing(claim: Claim) -> Commit:
    return write_nothing


def run_all(database: Database, runner: StepRunner) -> int:
    """Deliver every message until there are no more; returns how many were delivered."""
    delivered = 0
    while messages := database.sender.take():
        for payload in messages:
            runner.run(payload, do_nothing)
            delivered += 1
    return delivered


def test_a_job_goes_from_pending_to_completed_step_by_step(
    database: Database, runner: StepRunner
) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=3)
    assert job_row(database, job.id).state == JobState.PENDING
    first, *rest = database.sender.take()
    runner.run(first, do_nothing)
    assert job_row(database, job.id).state == JobState.PROCESSING
    assert job_row(database, job.id).progress == 0.25
    for payload in rest:
        runner.run(payload, do_nothing)
    run_all(database, runner)
    done = job_row(database, job.id)
    assert (done.state, done.progress) == (JobState.COMPLETED, 1.0)
    assert done.started_at is not None
    assert done.ended_at is not None


def test_a_claim_holds_the_rows_as_it_left_them(database: Database) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=1)
    claim = claim_step(database.new_uow, database.sender.take()[0], LEASE, max_attempts=3)
    assert claim is not None
    with database.sessions() as session:
        rows = [session.get_one(Job, job.id), session.get_one(Step, claim.step.id)]
        piece = session.get_one(Piece, claim.step.id)
    for claimed, row in zip((claim.job, claim.step, claim.piece), (*rows, piece), strict=True):
        for column in row.__table__.columns:
            assert getattr(claimed, column.name) == getattr(row, column.name), column


def test_a_connection_that_the_server_closed_is_replaced(database: Database) -> None:
    with database.new_uow() as uow:
        backend = uow.session.scalar(text("SELECT pg_backend_pid()"))
    with psycopg.connect(database.settings.database_url.replace("+psycopg", "")) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
    with database.new_uow() as uow:
        assert uow.session.scalar(text("SELECT pg_backend_pid()")) != backend


def test_a_long_job_is_released_in_a_window(database: Database, runner: StepRunner) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=10, window=3)
    messages = database.sender.take()
    assert len(messages) == 3
    runner.run(messages[0], do_nothing)
    assert len(database.sender.take()) == 1
    ready = [step for step in steps_of(database, job.id) if step.state == StepState.READY]
    assert len(ready) == 3


def test_a_message_delivered_twice_is_worked_on_once(
    database: Database, runner: StepRunner
) -> None:
    add_job(database, add_user(database.new_uow), pieces=1)
    (payload,) = database.sender.take()
    worked: list[Claim] = []

    def work(claim: Claim) -> Commit:
        worked.append(claim)
        runner.run(payload, lambda again: pytest.fail("claimed while it runs"))
        return write_nothing

    runner.run(payload, work)
    runner.run(payload, lambda again: pytest.fail("claimed after it was done"))
    assert len(worked) == 1


def test_the_result_of_an_old_attempt_changes_nothing(
    database: Database, runner: StepRunner
) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=1)
    (payload,) = database.sender.take()
    written: list[str] = []

    def stale(claim: Claim) -> Commit:
        with database.new_uow() as uow:  # its lease ends, and another attempt takes the step
            uow.steps.renew([claim.token], timedelta(seconds=-1))
            uow.commit()
        sweep(database.new_uow, lambda queue: 1, database.settings)
        second = claim_step(database.new_uow, payload, LEASE, 5)
        assert second is not None
        return lambda uow, job: written.append("old")

    runner.run(payload, stale)
    assert written == []
    assert steps_of(database, job.id)[0].state == StepState.RUNNING


def test_the_heartbeat_keeps_a_slow_step(database: Database, runner: StepRunner) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=1)
    (payload,) = database.sender.take()

    def slow(claim: Claim) -> Commit:
        first_lease = claim.step.lease_until
        wait_for(
            lambda: steps_of(database, job.id)[0].lease_until != first_lease, 5, "no heartbeat"
        )
        return write_nothing

    runner.run(payload, slow)
    assert steps_of(database, job.id)[0].state == StepState.DONE


def test_a_retryable_error_puts_the_step_back(database: Database, runner: StepRunner) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=1)
    (payload,) = database.sender.take()

    def store_is_away(claim: Claim) -> Commit:
        raise StorageUnavailable

    runner.run(payload, store_is_away)
    step = steps_of(database, job.id)[0]
    assert (step.state, step.attempts, step.sent_at) == (StepState.READY, 0, None)
    assert step.not_before is not None
    assert job_row(database, job.id).state == JobState.PROCESSING


def test_a_final_error_fails_the_job_with_its_code(database: Database, runner: StepRunner) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=2)
    first, second = database.sender.take()

    def fail(claim: Claim) -> Commit:
        raise EngineFailed("The engine choked.")

    runner.run(first, fail)
    failed = job_row(database, job.id)
    assert (failed.state, failed.error_code) == (JobState.FAILED, "engine_failed")
    assert failed.error_message == "The engine choked."
    runner.run(second, lambda claim: pytest.fail("a step of a failed job ran"))


def test_a_crashing_step_is_tried_again_and_then_fails_the_job(
    database: Database, runner: StepRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mynah.jobs.runner.RETRY_DELAY_S", 0.0)
    job = add_job(database, add_user(database.new_uow), pieces=1)
    (payload,) = database.sender.take()

    def crash(claim: Claim) -> Commit:
        raise ZeroDivisionError

    for _ in range(3):
        assert job_row(database, job.id).state != JobState.FAILED
        runner.run(payload, crash)
    assert job_row(database, job.id).error_code == MynahError.code


def test_a_step_that_kills_its_workers_fails_its_job(database: Database) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=1)
    (payload,) = database.sender.take()
    for _ in range(3):
        assert claim_step(database.new_uow, payload, timedelta(seconds=-1), 3) is not None
        sweep(database.new_uow, lambda queue: 1, database.settings)
    assert claim_step(database.new_uow, payload, LEASE, 3) is None
    assert job_row(database, job.id).error_code == "worker_lost"


def test_cancelling_stops_the_running_step(database: Database, runner: StepRunner) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=2)
    first, second = database.sender.take()
    stopped = threading.Event()

    def cancelled_while_working(claim: Claim) -> Commit:
        with database.new_uow() as uow:
            row = uow.jobs.locked(job.id)
            assert row is not None
            cancel_job(uow, row)
            uow.commit()
        wait_for(claim.lost.is_set, 5, "the worker did not hear of the cancel")
        stopped.set()
        claim.ensure_held()
        raise AssertionError("went on after the cancel")

    runner.run(first, cancelled_while_working)
    assert stopped.is_set()
    assert job_row(database, job.id).state == JobState.CANCELLED
    runner.run(second, lambda claim: pytest.fail("a step of a cancelled job ran"))


def test_a_finished_job_cannot_be_cancelled(database: Database, runner: StepRunner) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=1)
    run_all(database, runner)
    with database.new_uow() as uow:
        row = uow.jobs.locked(job.id)
        assert row is not None
        with pytest.raises(Conflict):
            cancel_job(uow, row)


def test_steps_finished_at_the_same_time_complete_the_job_once(
    database: Database, runner: StepRunner
) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=8)
    messages = database.sender.take()
    together = threading.Barrier(len(messages))

    def finish_together(claim: Claim) -> Commit:
        together.wait(timeout=10)
        return write_nothing

    def deliver(payload: StepPayload) -> None:
        runner.run(payload, finish_together)

    threads = [threading.Thread(target=deliver, args=(payload,)) for payload in messages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(database.sender.take()) == 1, "the assembly must be sent once"
    assert job_row(database, job.id).steps_done == 8


def test_a_step_that_was_sent_for_days_is_still_put_back(
    database: Database, runner: StepRunner
) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=1)
    (payload,) = database.sender.take()
    with database.new_uow() as uow:
        uow.session.execute(update(Step).where(Step.job_id == job.id).values(sent_count=5000))
        uow.commit()

    def fail(claim: Claim) -> Commit:
        raise StorageUnavailable

    runner.run(payload, fail)
    assert steps_of(database, job.id)[0].state == StepState.READY
