"""The gateway and real workers that speak with Chatterbox at test size, on a stack of their own.

Without torch these tests are skipped.
"""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from deploy.local.ports import find_spare_port
from mynah.audio.wav import encode_wav
from mynah.audio.waveform import Samples
from mynah.contracts.states import ENDED_JOB_STATES, JobState
from mynah.contracts.workers import EngineReport
from mynah.db.models import Job
from tests.integration.api.gateway import CONSENT, Account, Gateway, open_gateway
from tests.integration.voices.studio import json_of, multipart, speak
from tests.parts import RedisPart, ServiceProcess, clone_database, wait_for

HAS_ENGINE = importlib.util.find_spec("torch") and importlib.util.find_spec("chatterbox")
collect_ignore_glob = [] if HAS_ENGINE else ["test_*.py"]

SMALL_WORKER = "tests.integration.chatterbox.small_worker"
QUEUES = "tts.chatterbox.live,tts.espeak.live,tts.chatterbox.batch,tts.espeak.batch"


@dataclass
class Stage:
    """The gateway, an account, and worker processes."""

    gateway: Gateway
    account: Account
    redis: RedisPart
    folder: Path
    models: Path
    environment: dict[str, str]
    processes: dict[str, ServiceProcess] = field(default_factory=dict)
    metrics_port: int = field(default_factory=find_spare_port)

    def start(self, name: str, *arguments: str, **environment: str) -> ServiceProcess:
        variables = {**self.environment, **environment}
        process = ServiceProcess.python(
            name, ("-m", "celery", "-A", *arguments), variables, self.folder / f"{name}.log"
        )
        self.processes[name] = process.start()
        return process

    def start_worker(
        self, name: str, app: str, queues: str, size: int, **environment: str
    ) -> ServiceProcess:
        process = self.start(
            name, app, "worker", "-n", f"{name}@%h", "-Q", queues, "-P", "threads",
            "-c", str(size), "--disable-prefetch", "--without-mingle", "--without-gossip",
            **environment,
        )  # fmt: skip
        process.wait_until_ready(lambda: "ready." in process.log_tail(), timeout_s=90)
        return process

    def start_speaker(self, name: str, **environment: str) -> ServiceProcess:
        """A speech worker in a pool of threads."""
        return self.start_worker(name, SMALL_WORKER, QUEUES, 8, **environment)

    def kill_speakers(self) -> None:
        """Kill all speech workers."""
        for name in [name for name in self.processes if name.startswith("speaker")]:
            self.processes.pop(name).kill()

    def stop_speakers(self) -> list[str]:
        """Tell all speech workers to end; the ends of their logs."""
        names = [name for name in self.processes if name.startswith("speaker")]
        stopped = [self.processes.pop(name) for name in names]
        for process in stopped:
            process.stop()
        return [process.log_tail() for process in stopped]

    def report(self, name: str, engine: str = "chatterbox") -> EngineReport | None:
        """What a worker says of an engine."""
        for worker, report in self.gateway.container.presence.reports().items():
            if worker.startswith(f"{name}@"):
                return report.engines.get(engine)
        return None

    def get(self, path: str) -> Any:
        return self.gateway.client.get(path, headers=self.account.auth)

    def post(self, path: str, **options: Any) -> Any:
        return self.gateway.client.post(path, headers=self.account.auth, **options)

    def clone(self, recording: bytes, **body: Any) -> dict[str, Any]:
        """Upload a recording and ask for a voice; returns the voice once its job has ended."""
        uploaded = self.post(
            "/api/samples", **multipart({"file": (io.BytesIO(recording), "a.wav")})
        )
        assert uploaded.status_code == 201, uploaded.get_data(as_text=True)
        order = {"name": "Ann", "language": "en", "engine": "chatterbox", "consent": CONSENT}
        sample_ids = [json_of(uploaded)["id"]]
        asked = self.post("/api/voices", json={**order, "sample_ids": sample_ids, **body})
        assert asked.status_code == 202, asked.get_data(as_text=True)
        return self.settled(json_of(asked)["id"])

    def settled(self, voice_id: str) -> dict[str, Any]:
        """A voice once it is ready or has failed."""

        def voice() -> dict[str, Any]:
            return json_of(self.get(f"/api/voices/{voice_id}"))

        wait_for(lambda: voice()["state"] != "cloning", 60, "the voice is made")
        return voice()

    def order(self, voice_id: str, text: str, **body: Any) -> UUID:
        """Ask for speech; the job's id."""
        body = {"text": text, "voice_id": voice_id, "output_format": "wav", **body}
        asked = self.post("/api/tts/generate", json=body)
        assert asked.status_code == 202, asked.get_data(as_text=True)
        return UUID(json_of(asked)["job_id"])

    def job(self, job_id: UUID) -> Job:
        with self.gateway.container.new_uow() as uow:
            return uow.session.get_one(Job, job_id)

    def ended(self, job_id: UUID, timeout_s: float = 60) -> Job:
        wait_for(lambda: self.job(job_id).state in ENDED_JOB_STATES, timeout_s, "the job goes on")
        return self.job(job_id)

    def spoken(self, job_id: UUID) -> Samples:
        """A finished job's audio."""
        job = self.ended(job_id)
        assert job.state == JobState.COMPLETED, (job.error_code, job.error_message)
        data = self.get(f"/api/tts/job/{job_id}/download").get_data()
        samples: Samples = np.frombuffer(data[44:], "<i2").astype(np.float32) / 32768
        return samples


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of checkpoints, a voice beside the weights of English."""
    from tests.unit.engines.chatterbox.small_models import (  # noqa: PLC0415  needs torch
        write_conditionals,
        write_small_models,
    )

    root = tmp_path_factory.mktemp("models")
    write_small_models(root)
    write_conditionals(root / "chatterbox" / "conds.pt")
    return root


@pytest.fixture(scope="package")
def stage(
    parts_folder: Path, postgres: Any, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    own = parts_folder / "chatterbox"
    own.mkdir(mode=0o711)
    folder = tmp_path_factory.mktemp("chatterbox")
    with (
        RedisPart(own) as redis,
        clone_database(postgres) as database,
        open_gateway(database, redis.url(), folder / "objects") as gateway,
        _started(gateway, redis, folder, models) as stage,
    ):
        yield stage


@contextmanager
def _started(gateway: Gateway, redis: RedisPart, folder: Path, models: Path) -> Iterator[Stage]:
    settings = gateway.container.settings
    environment = {
        **os.environ,
        "MYNAH_DATABASE_URL": settings.database_url,
        "MYNAH_REDIS_URL": settings.redis_url,
        "MYNAH_STORAGE_DIR": str(settings.storage_dir),
        "MYNAH_JWT_SECRET": settings.jwt_secret.get_secret_value(),
        "MYNAH_CHATTERBOX_DIR": str(models),
        "MYNAH_CHATTERBOX_DEVICE": "cpu",
        "MYNAH_WARM_ENGINES": "chatterbox",
        "MYNAH_ENGINE_MEMORY_MIB": "6000",
        "MYNAH_SPEECH_ATTEMPTS": "1",  # random weights never speak well
        "MYNAH_LEASE_S": "2",
        "MYNAH_HEARTBEAT_S": "0.5",
        "MYNAH_SWEEP_INTERVAL_S": "0.3",
        "MYNAH_ENGINE_WAIT_S": "2",
        "OMP_NUM_THREADS": "1",
    }
    stage = Stage(gateway, gateway.register(), redis, folder, models, environment)
    try:
        stage.start_speaker("speaker", MYNAH_METRICS_PORT=str(stage.metrics_port))
        stage.start_worker("audio", "services.audio_proc.app", "audio", 1)
        stage.start_worker("maintenance", "services.audio_proc.maintenance", "maintenance", 1)
        schedule = str(folder / "schedule")
        stage.start("beat", "services.audio_proc.beat", "beat", "-s", schedule)
        yield stage
    finally:
        for process in stage.processes.values():
            process.kill()


@pytest.fixture(scope="session")
def recording() -> bytes:
    """Ten seconds of a person, who is eSpeak."""
    return encode_wav(speak())


@pytest.fixture(scope="package")
def voice_id(stage: Stage, recording: bytes) -> str:
    """A voice that was cloned from a recording."""
    voice = stage.clone(recording)
    assert voice["state"] == "ready", voice["error_message"]
    return str(voice["id"])


@pytest.fixture
def damaged_models(models: Path, tmp_path: Path) -> Path:
    """A folder in which English cannot be loaded, though its files look whole."""
    folder = tmp_path / "chatterbox"
    shutil.copytree(models / "chatterbox", folder)
    shutil.copy(folder / "s3gen.safetensors", folder / "ve.safetensors")
    return tmp_path
