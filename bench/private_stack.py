"""Workers of a benchmark's own on the running stack's servers: as many as it wants, of any engine.

They have a database, a Redis database and an object folder of their own, so that the stack's
workers and a benchmark's never take each other's work.
"""

from __future__ import annotations

import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

import psutil
from pydantic import SecretStr

from bench.local_stack import Target
from deploy.local import processes, stack
from deploy.local.environment import ROOT
from deploy.local.parts import answers
from deploy.local.ports import HOST, find_spare_port
from deploy.local.processes import Command, ProcessRecord
from mynah.contracts.states import ENDED_JOB_STATES, JobState, Visibility, VoiceState
from mynah.db.connection import connect, make_session_factory
from mynah.db.ids import new_id
from mynah.db.models import Job, User, Voice
from mynah.db.unit_of_work import UnitOfWork
from mynah.engines.catalog import load_engines
from mynah.messaging.sender import Broker, CelerySender
from mynah.settings import Settings
from services.api.auth.tokens import issue_token
from services.api.use_cases.speech import Requester, order_speech
from services.api.use_cases.speech_order import SpeechOrder

REDIS_DATABASE = 11
WARM_UP_SENTENCES = 8  # per worker
ENTRY_POINTS = """\
[mynah.engines]
simulated = bench.simulated_engine:INFO
simulated_slow = bench.simulated_engine:SLOW_INFO
"""


class PrivateStack:
    """Use as a context manager; everything it made is gone afterwards."""

    def __init__(self, target: Target) -> None:
        self._postgres = target.environment.postgres()
        self._database = f"bench_{secrets.token_hex(6)}"
        self._folder = Path(tempfile.mkdtemp(prefix="mynah-bench-"))
        url = self._postgres.url(self._database)
        redis_url = target.environment.redis().url().rsplit("/", 1)[0] + f"/{REDIS_DATABASE}"
        self._variables = {
            **target.environment.variables(),
            "PYTHONPATH": f"{self._folder / 'plugin'}:{ROOT}",
            "MYNAH_DATABASE_URL": url,
            "MYNAH_REDIS_URL": redis_url,
            "MYNAH_STORAGE_DIR": str(self._folder / "objects"),
            "MYNAH_RELEASE_WINDOW": "32",
        }
        for name in ("PROMETHEUS_MULTIPROC_DIR", "CELERY_BROKER_URL"):  # they are the stack's
            self._variables.pop(name, None)
        self.settings = Settings(database_url=url, redis_url=redis_url, release_window=32)
        self._engine = connect(self.settings)
        sessions = make_session_factory(self._engine)
        sender = CelerySender(self.settings)
        self.new_uow: Callable[[], UnitOfWork] = lambda: UnitOfWork(sessions, sender)
        self._layout = target.environment.layout
        self._jwt_secret = target.environment.credentials.jwt_secret
        self._records: dict[str, ProcessRecord] = {}

    def __enter__(self) -> Self:
        self._install_plugin()
        self._postgres.create_database(self._database)
        self._run("services.api.manage", "migrate")
        self._flush()
        self.start("audio", "services.audio_proc.app", "worker", "-Q", "audio", "-c", "2")
        self.start("maintenance", "services.audio_proc.maintenance", "worker", "-Q", "maintenance")
        schedule = str(self._folder / "schedule")
        self.start("beat", "services.audio_proc.beat", "beat", "--schedule", schedule)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name in list(self._records):
            self.stop(name)
        self._flush()
        self._engine.dispose()
        self._postgres.drop_database(self._database)
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self, name: str, app: str, kind: str, *options: str, niceness: int = 0) -> None:
        """Start a worker pool or beat and wait until it is ready."""
        arguments = ["celery", "-A", app, kind, *options, "--loglevel=INFO"]
        if kind == "worker":
            arguments += ["-n", f"{name}@%h", "--disable-prefetch", "--without-mingle"]
            arguments += ["--without-gossip"]
        log = self.start_process(name, *arguments, niceness=niceness)
        sign = "ready." if kind == "worker" else "beat: Starting"
        _wait(lambda: sign in log.read_text(), 60, f"{name} is not ready: {processes.tail(log)}")

    def start_process(
        self, name: str, module: str, *arguments: str, niceness: int = 0, **variables: str
    ) -> Path:
        """Start a module with the stack's variables and these; returns its log."""
        log = self._folder / f"{name}.log"
        log.touch()
        argv = [sys.executable, "-m", module, *arguments]
        environment = {**self._variables, **variables}
        command = Command(argv, environment, folder=ROOT, niceness=niceness)
        self._records[name] = ProcessRecord.of(processes.start(command, log).pid)
        return log

    def start_gateway(self) -> str:
        """Start a gateway that takes many listeners of one user; returns its address."""
        address = f"{HOST}:{find_spare_port()}"
        log = self.start_process(
            *("gateway", "gunicorn", "--config", "python:services.api.gunicorn_conf", "--preload"),
            *("--bind", address, "services.api.wsgi:app"),
            MYNAH_MAX_STREAMS_PER_USER="100000",
            MYNAH_PUBLIC_URL=f"http://{address}",
        )
        url = f"http://{address}"
        _wait(lambda: answers(f"{url}/ready"), 60, f"no gateway: {processes.tail(log)}")
        return url

    def token(self, user_id: UUID) -> str:
        """What a user shows to the gateway."""
        settings = Settings(jwt_secret=SecretStr(self._jwt_secret))
        return issue_token(settings, user_id, "access")[0]

    def processes_of(self, name: str) -> list[psutil.Process]:
        """A part's process and those that it started."""
        process = psutil.Process(self._records[name].pid)
        return [process, *process.children(recursive=True)]

    def start_speakers(self, engine: str, count: int, voice_id: UUID) -> None:
        """Start a pool of ``count`` speech workers and let each speak something.

        What a process does once in its life (imports, connections) is not what is measured.
        """
        queues = f"tts.{engine}.live,tts.{engine}.batch"
        app = "services.worker_tts.app"
        self.start("speakers", app, "worker", "-Q", queues, "-c", str(count))
        warm_up = "Good evening to all of you who came. " * (WARM_UP_SENTENCES * count)
        self.wait_completed(self.speak(self.add_user(), voice_id, warm_up), 120)

    def stop(self, name: str) -> None:
        """Stop a pool."""
        record = self._records.pop(name)
        processes.stop_groups({record: Command([]).stop_signal}, 5.0)

    def add_user(self) -> UUID:
        """A user who may speak as much as they want."""
        with self.new_uow() as uow:
            address = f"{secrets.token_hex(6)}@bench.example"
            user = User(id=new_id(), email=address, password_hash="-")
            uow.users.add(user)
            uow.commit()
            return user.id

    def add_voice(self, engine: str, engine_voice: str) -> UUID:
        """A public voice of an engine."""
        with self.new_uow() as uow:
            voice = Voice(
                id=new_id(), name=f"Bench {engine}", language="en-us", engine=engine,
                engine_voice=engine_voice, state=VoiceState.READY, visibility=Visibility.PUBLIC,
            )  # fmt: skip
            uow.voices.add(voice)
            uow.commit()
            return voice.id

    def servers(self) -> list[psutil.Process]:
        """The processes of Postgres and Redis, which are the running stack's too."""
        state = stack.find_running(self._layout)
        parts = state.parts if state else []
        found = [
            psutil.Process(part.process.pid)
            for part in parts
            if part.name in ("postgres", "redis") and part.process is not None
        ]
        return [process for one in found for process in (one, *one.children(recursive=True))]

    def speak(self, user_id: UUID, voice_id: UUID, text: str) -> UUID:
        """Order a speech as the gateway does; returns its job."""
        with self.new_uow() as uow:
            requester = Requester(user_id, "app", "bench")
            job = order_speech(uow, self.settings, requester, SpeechOrder(text, voice_id, seed=1))
            uow.commit()
            return job.id

    def wait_completed(self, job_id: UUID, timeout_s: float) -> Job:
        """The job once it is completed. Raises RuntimeError when it ended otherwise."""
        _wait(lambda: self._job(job_id).state in ENDED_JOB_STATES, timeout_s, f"job {job_id}")
        job = self._job(job_id)
        if job.state != JobState.COMPLETED:
            raise RuntimeError(f"job {job_id} is {job.state}: {job.error_message}")
        return job

    def _job(self, job_id: UUID) -> Job:
        with self.new_uow() as uow:
            return uow.jobs.by_id(job_id)

    def _install_plugin(self) -> None:
        info = self._folder / "plugin" / "mynah_bench-0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mynah-bench\nVersion: 0\n")
        (info / "entry_points.txt").write_text(ENTRY_POINTS)
        sys.path.insert(0, str(info.parent))
        load_engines.cache_clear()  # another benchmark may have read the catalog before

    def _run(self, module: str, *arguments: str) -> None:
        command = Command([sys.executable, "-m", module, *arguments], self._variables, folder=ROOT)
        log = self._folder / "run.log"
        if processes.start(command, log).wait() != 0:
            raise RuntimeError(processes.tail(log))

    def _flush(self) -> None:
        broker = Broker(self.settings)
        broker.flush()
        broker.close()


def took_s(job: Job) -> float:
    """From the order to the end, in seconds."""
    ended: datetime = job.ended_at or datetime.now(UTC)
    return (ended - job.created_at).total_seconds()


def _wait(condition: Callable[[], bool], timeout_s: float, message: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(message)
        time.sleep(0.02)
