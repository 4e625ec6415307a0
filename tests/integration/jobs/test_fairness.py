"""Whose step is worked on next, on a real database."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from mynah.contracts.states import JobState, StepState
from mynah.db.unit_of_work import UnitOfWork
from mynah.jobs.claims import Claim, claim_step
from mynah.jobs.runner import StepRunner
from mynah.jobs.transitions import cancel_job
from tests.factories import Database, add_job, add_user, job_row, steps_of
from tests.integration.jobs.test_running_steps import do_nothing

LEASE = timedelta(seconds=60)


def claim_all(database: Database) -> list[Claim]:
    """Deliver every message to workers that do not finish; what they claimed, in order."""
    claims = [claim_step(database.new_uow, payload, LEASE, 3) for payload in database.sender.take()]
    return [claim for claim in claims if claim is not None]


def test_a_short_job_of_another_user_overtakes_long_stories(
    database: Database, runner: StepRunner
) -> None:
    for _ in range(10):
        add_job(database, add_user(database.new_uow), pieces=20, window=4)
    for payload in database.sender.take()[:30]:  # every story is being spoken
        runner.run(payload, do_nothing)
    short = add_job(database, add_user(database.new_uow), pieces=3)
    messages = database.sender.take()
    for payload in messages[:3]:
        runner.run(payload, do_nothing)
    assert all(step.state == StepState.DONE for step in steps_of(database, short.id)[:3])


def test_users_with_as_much_to_do_are_served_in_turns(database: Database) -> None:
    users = [add_user(database.new_uow) for _ in range(4)]
    for user_id in users:
        add_job(database, user_id, pieces=5)
    claims = claim_all(database)
    rounds = [claims[start : start + 4] for start in range(0, 20, 4)]
    for turn in rounds:
        assert {claim.job.user_id for claim in turn} == set(users)


def test_the_pieces_of_one_job_are_spoken_in_order(database: Database) -> None:
    add_job(database, add_user(database.new_uow), pieces=6)
    assert [claim.step.ordinal for claim in claim_all(database)] == list(range(6))


def test_a_new_job_of_the_same_user_does_not_wait_for_the_end_of_the_first(
    database: Database, runner: StepRunner
) -> None:
    user_id = add_user(database.new_uow)
    add_job(database, user_id, pieces=20, window=8)
    for payload in database.sender.take()[:5]:
        runner.run(payload, do_nothing)
    second = add_job(database, user_id, pieces=1)
    claim = claim_step(database.new_uow, database.sender.take()[0], LEASE, 3)
    assert claim is not None
    assert claim.job.id == second.id


def test_what_was_served_in_one_queue_does_not_count_in_another(
    database: Database, runner: StepRunner
) -> None:
    user_id = add_user(database.new_uow)
    job = add_job(database, user_id, pieces=2)
    for payload in database.sender.take():
        runner.run(payload, do_nothing)
    (assembly,) = database.sender.take()
    claim = claim_step(database.new_uow, assembly, LEASE, 3)
    assert claim is not None
    assert (claim.job.id, claim.step.queue) == (job.id, "audio")


def test_many_workers_claim_every_step_once(database: Database) -> None:
    for _ in range(3):
        add_job(database, add_user(database.new_uow), pieces=10, window=10)
    messages = database.sender.take()
    claimed: list[UUID] = []

    def work(share: int) -> None:
        for payload in messages[share::6]:
            claim = claim_step(database.new_uow, payload, LEASE, 3)
            if claim is not None:
                claimed.append(claim.step.id)

    threads = [threading.Thread(target=work, args=(share,)) for share in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(claimed) == len(set(claimed)) == 30


def test_a_claim_waits_for_nobody_who_holds_the_job(database: Database, runner: StepRunner) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=1)
    (payload,) = database.sender.take()
    with database.new_uow() as holder:
        row = holder.jobs.locked(job.id)
        assert row is not None
        claim = claim_step(database.new_uow, payload, LEASE, 3)
        assert claim is not None
        assert claim.job.state == JobState.PENDING  # whoever holds it may be cancelling it
        cancel_job(holder, row)
        holder.commit()
    assert job_row(database, job.id).state == JobState.CANCELLED
    assert steps_of(database, job.id)[0].state == StepState.CANCELLED


def test_a_claim_reads_few_rows_however_many_wait(database: Database) -> None:
    users = 12
    for _ in range(users):
        add_job(database, add_user(database.new_uow), pieces=40, window=40)
    payload = database.sender.take()[0]
    with database.new_uow() as uow:
        before = rows_read(uow)
        assert uow.claims.claim(payload.step_id, LEASE) is not None
        assert rows_read(uow) - before < 8 * users


def rows_read(uow: UnitOfWork) -> int:
    """How many rows of steps and jobs this connection has read of late."""
    count = uow.session.scalar(
        text(
            "SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables"
            " WHERE relname IN ('steps', 'jobs')"
        )
    )
    return int(count or 0)


def test_a_short_job_overtakes_stories_that_have_just_begun(
    database: Database, runner: StepRunner
) -> None:
    for _ in range(10):
        add_job(database, add_user(database.new_uow), pieces=40, window=4)
    for payload in database.sender.take()[:10]:
        runner.run(payload, do_nothing)
    short = add_job(database, add_user(database.new_uow), pieces=6)
    for payload in database.sender.take()[:6]:
        runner.run(payload, do_nothing)
    assert all(step.state == StepState.DONE for step in steps_of(database, short.id)[:6])


def test_many_short_jobs_of_one_user_do_not_starve_a_story(
    database: Database, runner: StepRunner
) -> None:
    story = add_job(database, add_user(database.new_uow), pieces=12, window=12)
    flooder = add_user(database.new_uow)
    for _ in range(40):
        add_job(database, flooder, pieces=1)
    for payload in database.sender.take()[:40]:
        runner.run(payload, do_nothing)
    assert job_row(database, story.id).steps_done > 5
