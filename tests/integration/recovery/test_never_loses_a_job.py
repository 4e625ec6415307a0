"""Workers are killed, brokers flushed, databases taken away: every job completes, once."""

from __future__ import annotations

import time
from uuid import UUID

import redis as redis_client

from mynah.contracts.states import JobState, StepState
from mynah.contracts.tasks import SYNTHESIZE, StepPayload
from mynah.db.models import Piece, Step
from mynah.errors import MynahError
from tests.integration.recovery.conftest import SENTENCE, Workers
from tests.parts import wait_for

LONG_TEXT = SENTENCE * 120


def steps(workers: Workers, job_id: UUID) -> list[Step]:
    with workers.new_uow() as uow:
        return list(uow.session.query(Step).filter_by(job_id=job_id).order_by(Step.ordinal))


def segment_keys(workers: Workers, job_id: UUID) -> list[str | None]:
    with workers.new_uow() as uow:
        rows = uow.session.query(Piece).filter_by(job_id=job_id).order_by(Piece.ordinal)
        return [row.segment_key for row in rows]


def test_a_job_goes_through_real_workers(workers: Workers, user_id: UUID) -> None:
    job = workers.wait_completed(workers.speak(user_id, "Hello there, my friend."), 30)
    assert job.actual_duration_s is not None
    assert 0.8 < job.actual_duration_s < 4
    assert job.quality_score is not None
    assert job.quality_score > 0.5
    assert workers.store.stat(str(job.output_key)).size_bytes == job.output_size_bytes


def test_a_pool_of_threads_speaks_too(workers: Workers, user_id: UUID) -> None:
    workers.processes["speaker"].kill()
    threads = workers.start_worker(
        "threads", "services.worker_tts.app", "tts.espeak.batch", pool="threads", size=4
    )
    try:
        for job_id in [workers.speak(user_id, SENTENCE, seed) for seed in range(8)]:
            workers.wait_completed(job_id, 30)
    finally:
        workers.start_speaker("speaker")
        threads.stop()


def test_a_killed_worker_costs_only_its_piece_and_the_job_completes_within_10_s(
    workers: Workers, user_id: UUID
) -> None:
    job_id = workers.speak(user_id, LONG_TEXT)
    second = workers.start_speaker("speaker-2")
    try:
        wait_for(
            lambda: (
                any(step.state == StepState.RUNNING for step in steps(workers, job_id))
                or workers.job(job_id).state == JobState.COMPLETED
            ),
            30,
            "no piece was taken",
        )
        workers.processes["speaker"].kill()
        killed_at = time.monotonic()
        done_before = [key for key in segment_keys(workers, job_id) if key]
        workers.wait_completed(job_id, 10)
        assert time.monotonic() - killed_at < 10
        after = segment_keys(workers, job_id)
        assert all(after)
        assert set(done_before) <= set(after), "a finished piece was spoken again"
        assert all(step.state == StepState.DONE for step in steps(workers, job_id))
    finally:
        workers.start_speaker("speaker")
        second.stop()


def test_jobs_survive_a_flushed_broker(workers: Workers, user_id: UUID) -> None:
    jobs = [workers.speak(user_id, SENTENCE, seed) for seed in range(10)]
    workers.redis.flush()
    for job_id in jobs:
        workers.wait_completed(job_id, 30)


def test_jobs_survive_a_killed_and_restarted_broker(workers: Workers, user_id: UUID) -> None:
    jobs = [workers.speak(user_id, SENTENCE, seed) for seed in range(10)]
    workers.redis.kill()
    jobs.append(workers.speak(user_id, SENTENCE))  # accepted without a broker
    workers.redis.restart()
    for job_id in jobs:
        workers.wait_completed(job_id, 60)


def test_a_message_delivered_twice_gives_one_result(workers: Workers, user_id: UUID) -> None:
    job_id = workers.speak(user_id, SENTENCE)
    (step, _) = steps(workers, job_id)
    for _ in range(5):
        workers.sender.send(SYNTHESIZE, StepPayload(step_id=step.id, job_id=job_id), step.queue)
    workers.wait_completed(job_id, 30)
    with redis_client.Redis.from_url(workers.redis.url()) as client:
        wait_for(lambda: client.llen(step.queue) == 0, 30, "messages are left")
    assert steps(workers, job_id)[0].attempts == 1
    assert len(list(workers.store.list(f"work/{job_id}/"))) == 1


def test_jobs_go_on_after_the_object_store_was_away(workers: Workers, user_id: UUID) -> None:
    folder = workers.settings.storage_dir
    away = folder.with_name("away")
    folder.rename(away)
    job_id = workers.speak(user_id, SENTENCE)
    wait_for(
        lambda: steps(workers, job_id)[0].sent_count > 1, 30, "the step was not put back and sent"
    )
    assert workers.job(job_id).state == JobState.PROCESSING
    away.rename(folder)
    workers.wait_completed(job_id, 60)


def test_jobs_go_on_after_the_database_was_away(workers: Workers, user_id: UUID) -> None:
    job_id = workers.speak(user_id, LONG_TEXT)
    wait_for(
        lambda: (
            any(step.state == StepState.RUNNING for step in steps(workers, job_id))
            or workers.job(job_id).state == JobState.COMPLETED
        ),
        30,
        "no piece was taken",
    )
    workers.postgres.kill()
    try:
        workers.job(job_id)
        raise AssertionError("the database still answers")
    except MynahError as error:
        assert error.code == "database_unavailable"
    workers.postgres.restart()
    workers.wait_completed(job_id, 60)


def test_a_hanging_broker_does_not_hold_up_a_request(workers: Workers, user_id: UUID) -> None:
    workers.redis.pause()
    try:
        started = time.monotonic()
        job_id = workers.speak(user_id, LONG_TEXT)
        assert time.monotonic() - started < 10
    finally:
        workers.redis.resume()
    workers.wait_completed(job_id, 60)
