"""What is removed when its time is over, and what stays."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from mynah.contracts.object_keys import work_folder
from mynah.contracts.states import JobState
from mynah.db.clock import utc_now
from mynah.db.models import Job
from mynah.jobs.runner import StepRunner
from mynah.jobs.worker import WorkerContext
from mynah.messaging.sender import Broker
from mynah.storage.local import LocalObjectStore
from services.audio_proc.retention import expire
from tests.factories import Database, add_job, add_user, job_row


@pytest.fixture
def worker(database: Database, runner: StepRunner, tmp_path: Path) -> WorkerContext:
    store = LocalObjectStore(tmp_path)
    store.create()
    settings = database.settings
    return WorkerContext(settings, database.new_uow, store, Broker(settings), runner)


def end_job(database: Database, job: Job, ended_ago: timedelta, expires_in: timedelta) -> None:
    with database.new_uow() as uow:
        row = uow.jobs.by_id(job.id)
        row.state = JobState.COMPLETED
        row.ended_at = utc_now() - ended_ago
        row.expires_at = utc_now() + expires_in
        row.output_key = f"stories/en/user/{job.id}.mp3"
        row.has_work_files = True
        uow.commit()


def test_outputs_and_work_files_go_when_their_time_is_over(
    database: Database, worker: WorkerContext
) -> None:
    user_id = add_user(database.new_uow)
    old, fresh = (add_job(database, user_id, pieces=1) for _ in range(2))
    end_job(database, old, timedelta(days=2), timedelta(days=-1))
    end_job(database, fresh, timedelta(seconds=1), timedelta(days=1))
    for job in (old, fresh):
        worker.store.put(f"stories/en/user/{job.id}.mp3", b"story", "audio/mpeg")
        worker.store.put(f"{work_folder(job.id)}1.flac", b"work", "audio/flac")

    expire(worker)

    assert job_row(database, old.id).output_key is None
    assert not list(worker.store.list(work_folder(old.id)))
    assert list(worker.store.list("stories/en/user/")) == [f"stories/en/user/{fresh.id}.mp3"]
    assert list(worker.store.list(work_folder(fresh.id))), "a late worker may still write there"
    assert job_row(database, fresh.id).output_key is not None


@pytest.mark.parametrize("kind", ["speech", "batch"])
@pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.COMPLETED])
def test_what_was_stored_while_a_job_was_cancelled_goes(
    database: Database, worker: WorkerContext, kind: str, state: JobState
) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=1, kind=kind)
    end_job(database, job, timedelta(days=2), timedelta(days=1))
    key = f"batches/user/{job.id}.zip" if kind == "batch" else f"stories/en/user/{job.id}.mp3"
    worker.store.put(key, b"stored", "application/octet-stream")
    with database.new_uow() as uow:
        row = uow.jobs.by_id(job.id)
        row.state = state
        row.output_key = key if state == JobState.COMPLETED else None
        row.request = {"language": "en", "origin": "user", "output_format": "mp3"}
        uow.commit()
    expire(worker)
    kept = list(worker.store.list(f"{key.rpartition('/')[0]}/"))
    assert kept == ([key] if state == JobState.COMPLETED else [])


def test_an_open_jobs_work_files_stay(database: Database, worker: WorkerContext) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=1)
    worker.store.put(f"{work_folder(job.id)}1.flac", b"work", "audio/flac")
    expire(worker)
    assert list(worker.store.list(work_folder(job.id)))


def test_old_history_is_forgotten(database: Database, worker: WorkerContext) -> None:
    job = add_job(database, add_user(database.new_uow), pieces=1)
    end_job(database, job, timedelta(days=400), timedelta(days=-370))
    expire(worker)  # output and work files, then the row
    with database.new_uow() as uow:
        assert uow.jobs.locked(job.id) is None


def test_a_batch_is_forgotten_with_its_items_once_their_outputs_are_gone(
    database: Database, worker: WorkerContext
) -> None:
    user_id = add_user(database.new_uow)
    batch, item = (add_job(database, user_id, pieces=1) for _ in range(2))
    end_job(database, item, timedelta(days=400), timedelta(days=1))
    end_job(database, batch, timedelta(days=400), timedelta(days=-370))
    with database.new_uow() as uow:
        uow.jobs.by_id(item.id).parent_id = batch.id
        uow.commit()
    expire(worker)
    assert job_row(database, item.id).output_key is not None
    assert job_row(database, batch.id).output_key is None
    end_job(database, item, timedelta(days=400), timedelta(days=-1))
    expire(worker)
    with database.new_uow() as uow:
        assert uow.jobs.locked(batch.id) is None
        assert uow.jobs.locked(item.id) is None
