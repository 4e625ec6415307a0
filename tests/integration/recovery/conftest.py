"""A stack of real worker processes with a Redis and a Postgres of its own, to be killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr

from mynah.contracts.states import ENDED_JOB_STATES, JobState, Lane
from mynah.db.connection import connect, make_session_factory
from mynah.db.models import Job
from mynah.db.unit_of_work import UnitOfWork
from mynah.messaging.sender import CelerySender
from mynah.settings import Settings
from mynah.storage.local import LocalObjectStore
from services.api.use_cases.speech import Requester, order_speech
from services.api.use_cases.speech_order import SpeechOrder
from services.api.use_cases.voices import seed_builtin_voices
from tests.factories import add_user, close_engine
from tests.parts import PostgresPart, RedisPart, ServiceProcess, clone_database, wait_for

JWT_SECRET = "a secret of the recovery tests, long enough"
SENTENCE = "The quick brown fox jumps over the lazy dog near the quiet river bank. "


@dataclass
class Workers:
    """Worker processes and what is needed to give them work."""

    settings: Settings
    environment: dict[str, str]
    postgres: PostgresPart
    redis: RedisPart
    store: LocalObjectStore
    logs: Path
    processes: dict[str, ServiceProcess] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._engine = connect(self.settings)
        sessions = make_session_factory(self._engine)
        self.sender = CelerySender(self.settings)
        self.new_uow = lambda: UnitOfWork(sessions, self.sender)

    def start(self, name: str, app: str, *options: str, **more: str) -> ServiceProcess:
        arguments = ["-m", "celery", "-A", app, *options]
        environment = {**self.environment, **more}
        process = ServiceProcess.python(name, arguments, environment, self.logs / name)
        self.processes[name] = process.start()
        return process

    def start_worker(
        self, name: str, app: str, queues: str, pool: str = "prefork", size: int = 1, **more: str
    ) -> ServiceProcess:
        process = self.start(
            name, app, "worker", "-n", f"{name}@%h", "-Q", queues, "-P", pool, "-c", str(size),
            "--disable-prefetch", "--without-mingle", "--without-gossip", **more,
        )  # fmt: skip
        process.wait_until_ready(lambda: "ready." in process.log_tail(), timeout_s=60)
        return process

    def start_speaker(self, name: str, lane: Lane = Lane.BATCH) -> ServiceProcess:
        return self.start_worker(name, "services.worker_tts.app", f"tts.espeak.{lane}")

    def speak(self, user_id: UUID, text: str, seed: int = 1, lane: Lane = Lane.BATCH) -> UUID:
        """Order a speech; returns the job's id."""
        with self.new_uow() as uow:
            voice = uow.voices.page(
                user_id, filters={"language": "en-us"}, name_contains="Ada", cursor=None, limit=1
            ).items[0]
            order = SpeechOrder(text, voice.id, seed=seed)
            job = order_speech(uow, self.settings, Requester(user_id, "user", "r"), order, lane)
            uow.commit()
            return job.id

    def job(self, job_id: UUID) -> Job:
        with self.new_uow() as uow:
            return uow.jobs.by_id(job_id)

    def wait_completed(self, job_id: UUID, timeout_s: float) -> Job:
        wait_for(
            lambda: self.job(job_id).state in ENDED_JOB_STATES, timeout_s, f"job {job_id} goes on"
        )
        job = self.job(job_id)
        assert job.state == JobState.COMPLETED, (job.error_code, job.error_message)
        return job

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
        close_engine(self._engine)
        self.sender.close()


@pytest.fixture(scope="package")
def workers(tmp_path_factory: pytest.TempPathFactory, parts_folder: Path) -> Iterator[Workers]:
    own = parts_folder / "recovery"
    own.mkdir(mode=0o711)
    folder = tmp_path_factory.mktemp("recovery")
    with PostgresPart(own) as postgres, RedisPart(own) as redis, clone_database(postgres) as url:
        environment = {
            "MYNAH_DATABASE_URL": url,
            "MYNAH_REDIS_URL": redis.url(),
            "MYNAH_STORAGE_DIR": str(folder / "objects"),
            "MYNAH_LEASE_S": "2",
            "MYNAH_HEARTBEAT_S": "0.5",
            "MYNAH_SWEEP_INTERVAL_S": "0.5",
            "MYNAH_RELEASE_WINDOW": "4",
            "MYNAH_ENGINE_WAIT_S": "2",
            "MYNAH_JWT_SECRET": JWT_SECRET,
            "MYNAH_WEBHOOKS_ALLOW_PRIVATE": "true",
            "OMP_NUM_THREADS": "1",
        }
        settings = Settings(
            database_url=url, redis_url=redis.url(), storage_dir=folder / "objects",
            release_window=4, jwt_secret=SecretStr(JWT_SECRET), webhooks_allow_private=True,
        )  # fmt: skip
        store = LocalObjectStore(settings.storage_dir)
        store.create()
        stack = Workers(settings, {**os.environ, **environment}, postgres, redis, store, folder)
        with stack.new_uow() as uow:
            seed_builtin_voices(uow)
            uow.commit()
        try:
            stack.start_speaker("speaker")
            stack.start_worker("audio", "services.audio_proc.app", "audio")
            stack.start_worker("maintenance", "services.audio_proc.maintenance", "maintenance")
            stack.start("beat", "services.audio_proc.beat", "beat", "-s", str(folder / "schedule"))
            yield stack
        finally:
            stack.stop()


@pytest.fixture
def user_id(workers: Workers) -> UUID:
    return add_user(workers.new_uow)
