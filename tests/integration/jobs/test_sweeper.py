"""What the sweeper finds and sends again, on a real database."""

from __future__ import annotations

from datetime import timedelta

from mynah.contracts.states import JobState, StepState
from mynah.contracts.tasks import StepPayload
from mynah.errors import BrokerUnavailable, StorageUnavailable
from mynah.jobs.claims import Claim, claim_step
from mynah.jobs.runner import Commit, StepRunner
from mynah.jobs.sweeper import SweepReport, sweep
from tests.factories import Database, add_job, add_user, job_row, steps_of
from tests.integration.jobs.test_running_steps import do_nothing
from tests.parts import wait_for


def empty(queue: str) -> int:
    return 0


def busy(queue: str) -> int:
    return 7


def away(queue: str) -> int:
    raise BrokerUnavailable


def swept(database: Database, depth: object = empty) -> list[StepPayload]:
    sweep(database.new_uow, depth, database.settings)  # type: ignore[arg-type]
    return database.sender.take()


def test_a_lost_message_is_sent_again(database: Database) -> None:
    add_job(database, add_user(database.new_uow), pieces=1)
    (lost,) = database.sender.take()
    wait_for(lambda: swept(database) == [lost], 5, "the lost message was not sent again")


def test_a_message_that_could_not_be_sent_goes_out_later(database: Database) -> None:
    database.sender.is_down = True
    job = add_job(database, add_user(database.new_uow), pieces=1)
    assert job_row(database, job.id).state == JobState.PENDING
    assert database.sender.take() == []
    database.sender.is_down = False
    wait_for(lambda: len(swept(database)) == 1, 5, "the message was not sent")


def test_messages_behind_a_backlog_are_late_not_lost(database: Database) -> None:
    add_job(database, add_user(database.new_uow), pieces=2)
    database.sender.take()
    assert swept(database, busy) == []


def test_without_a_broker_nothing_is_lost_or_sent(database: Database) -> None:
    add_job(database, add_user(database.new_uow), pieces=1)
    database.sender.take()
    assert swept(database, away) == []


def test_a_dead_workers_step_is_sent_again_when_its_lease_is_over(database: Database) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=1)
    (payload,) = database.sender.take()
    assert claim_step(database.new_uow, payload, timedelta(seconds=0.05), 3) is not None
    wait_for(lambda: swept(database, busy) == [payload], 5, "the step was not taken up")
    assert steps_of(database, job.id)[0].state == StepState.READY


def test_a_living_workers_step_is_left_alone(database: Database) -> None:
    add_job(database, add_user(database.new_uow), pieces=1)
    (payload,) = database.sender.take()
    assert claim_step(database.new_uow, payload, timedelta(seconds=60), 3) is not None
    assert swept(database) == []


def test_a_step_put_back_is_sent_when_its_time_has_come(
    database: Database, runner: StepRunner
) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=1)
    (payload,) = database.sender.take()

    def store_is_away(claim: Claim) -> Commit:
        raise StorageUnavailable

    runner.run(payload, store_is_away)
    assert swept(database, busy) == []
    wait_for(lambda: swept(database, busy) == [payload], 5, "the retry was not sent")
    runner.run(payload, do_nothing)
    assert steps_of(database, job.id)[0].state == StepState.DONE


def test_only_one_sweeper_works_at_a_time(database: Database) -> None:
    add_job(database, add_user(database.new_uow), pieces=1)
    database.sender.take()
    with database.new_uow() as first:
        assert first.steps.try_sweep_lock()
        assert sweep(database.new_uow, empty, database.settings) == SweepReport()
