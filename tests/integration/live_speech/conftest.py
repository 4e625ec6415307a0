"""A whole stack for those who listen live: gateway under gunicorn, workers, a Redis to be lost."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import pytest
from sqlalchemy import select
from websockets.sync.client import connect

from deploy.local.ports import HOST, find_spare_port
from mynah.audio.live_joining import LiveJoiner
from mynah.audio.waveform import Waveform
from mynah.contracts.states import Visibility, VoiceState
from mynah.db.ids import new_id
from mynah.db.models import Job, Piece, Voice
from services.api.auth.tokens import issue_token
from tests.integration.api.gateway import Account, Gateway, open_gateway
from tests.integration.live_speech.asking import QUESTION, Recognizer
from tests.integration.live_speech.device import Client, address
from tests.integration.live_speech.known_words import NOTES as HEARD
from tests.integration.live_speech.responder import Responder, open_responder
from tests.integration.live_speech.slow_engine import NOTES, SAMPLE_RATE, speech_of
from tests.parts import RedisPart, ServiceProcess, clone_database, wait_for

ROOT = Path(__file__).resolve().parents[3]
ENTRY_POINTS = """[mynah.engines]
slow = tests.integration.live_speech.slow_engine:INFO
[mynah.recognizers]
known = tests.integration.live_speech.known_words:INFO
"""
MAX_STREAMS_PER_USER = 2
LOUDNESS_LUFS = -18.0


@dataclass
class Stage:
    """The stack, and one voice of the slow engine."""

    gateway: Gateway
    redis: RedisPart
    url: str
    folder: Path
    environment: dict[str, str]
    voice_id: UUID
    processes: dict[str, ServiceProcess] = field(default_factory=dict)

    def start(self, name: str, *arguments: str, **variables: str) -> ServiceProcess:
        environment = {**self.environment, **variables}
        process = ServiceProcess.python(name, arguments, environment, self.folder / name)
        self.processes[name] = process.start()
        return process

    def start_worker(self, name: str, app: str, queues: str, **variables: str) -> None:
        process = self.start(
            name, "-m", "celery", "-A", app, "worker", "-n", f"{name}@%h", "-Q", queues,
            "-P", "prefork", "-c", "1", "--disable-prefetch", "--without-mingle",
            "--without-gossip", **variables,
        )  # fmt: skip
        process.wait_until_ready(lambda: "ready." in process.log_tail(), timeout_s=60)

    def start_speaker(self, name: str) -> None:
        self.start_worker(name, "services.worker_tts.app", "tts.slow.live,tts.slow.batch")

    def start_gateway(self, name: str, address: str) -> None:
        server = self.start(
            name, "-m", "gunicorn", "--config", "python:services.api.gunicorn_conf",
            "--workers", "1", "--bind", address, "services.api.wsgi:app",
        )  # fmt: skip
        server.wait_until_ready(lambda: _answers(f"http://{address}/ready"))

    def kill_speakers(self) -> None:
        """Kill all speech workers."""
        for name in [name for name in self.processes if name.startswith("speaker")]:
            self.processes.pop(name).kill()

    @property
    def address(self) -> tuple[str, int]:
        """Where the gateway listens."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    def gateway_processes(self) -> list[int]:
        """The ids of the processes that answer."""
        master = self.processes["gateway"].pid
        return [
            int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()
        ]

    def memory_mib(self) -> float:
        """What the gateway's processes have in memory."""
        statistics = [Path(f"/proc/{pid}/statm") for pid in self.gateway_processes()]
        pages = [int(one.read_text().split()[1]) for one in statistics]
        return sum(pages) * os.sysconf("SC_PAGESIZE") / 2**20

    def client(self, account: Account) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=account.auth, timeout=30)

    def order(self, text: str, **body: Any) -> dict[str, Any]:
        return {"text": text, "voice_id": str(self.voice_id), "output_format": "pcm", **body}

    def listeners(self) -> int:
        """How many streams the gateway says it serves."""
        return self.figure("mynah_streams")

    def figure(self, name: str) -> int:
        """One of the gateway's metrics."""
        text = httpx.get(f"{self.url}/metrics").text
        (line,) = (line for line in text.splitlines() if line.startswith(f"{name} "))
        return int(float(line.split()[1]))

    def notes(self) -> list[tuple[float, str]]:
        """When the engine made a block, and of which text."""
        lines = Path(self.environment[NOTES]).read_text().splitlines()
        return [(float(line.split(" ", 1)[0]), line.split(" ", 1)[1]) for line in lines]

    def job(self, job_id: str) -> Job | None:
        with self.gateway.container.new_uow() as uow:
            return uow.session.get(Job, UUID(job_id))

    def last_job(self, user_id: UUID) -> str:
        """The youngest job of a user."""
        with self.gateway.container.new_uow() as uow:
            youngest = select(Job.id).where(Job.user_id == user_id).order_by(Job.id.desc())
            return str(uow.session.scalars(youngest.limit(1)).one())

    def pieces(self, job_id: str) -> list[Piece]:
        with self.gateway.container.new_uow() as uow:
            return list(uow.pieces.of_job(UUID(job_id)))

    def expected(self, *job_ids: str) -> bytes:
        """The PCM that a listener of these jobs must get, sample by sample."""
        joiner = LiveJoiner(LOUDNESS_LUFS, SAMPLE_RATE)
        joined = []
        for piece in (piece for job_id in job_ids for piece in self.pieces(job_id)):
            joiner.begin_piece(piece.speech["voice_id"])
            joined.append(joiner.add(Waveform(speech_of(piece.text), SAMPLE_RATE)).samples)
            joined.append(joiner.end_piece(piece.pause_after_ms).samples)
        return Waveform(np.concatenate(joined), SAMPLE_RATE).to_pcm16()


def assert_same_sound(got: bytes, expected: bytes) -> None:
    """Every sample is there once; the last bit may be rounded otherwise."""
    assert len(got) == len(expected)
    differences = np.frombuffer(got, "<i2").astype(int) - np.frombuffer(expected, "<i2")
    assert np.abs(differences).max() <= 1


@pytest.fixture(scope="package")
def stage(
    parts_folder: Path, postgres: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    own = parts_folder / "live-speech"
    own.mkdir(mode=0o711)
    folder = tmp_path_factory.mktemp("live-speech")
    with (
        RedisPart(own) as redis,
        clone_database(postgres) as database,
        open_gateway(database, redis.url(), folder / "objects") as gateway,
        _started(gateway, redis, folder) as stage,
    ):
        yield stage


def _environment(gateway: Gateway, folder: Path, address: str) -> dict[str, str]:
    settings = gateway.container.settings
    return {
        **os.environ,
        "PYTHONPATH": f"{_install_plugin(folder)}:{ROOT}",
        NOTES: str(folder / "notes"),
        "MYNAH_DATABASE_URL": settings.database_url,
        "MYNAH_REDIS_URL": settings.redis_url,
        "MYNAH_STORAGE_DIR": str(settings.storage_dir),
        "MYNAH_JWT_SECRET": settings.jwt_secret.get_secret_value(),
        "MYNAH_MAX_STREAMS_PER_USER": str(MAX_STREAMS_PER_USER),
        "MYNAH_STREAM_STALL_TIMEOUT_S": "1.5",
        "MYNAH_SYNC_TIMEOUT_S": "20",
        "MYNAH_RATE_LIMIT_PER_MINUTE": "1000000",
        "MYNAH_CREDENTIAL_CHECK_INTERVAL_S": "0.5",
        "MYNAH_SOCKET_IDLE_TIMEOUT_S": "3",
        "MYNAH_SOCKET_RESUME_S": "2",
        "MYNAH_SOCKET_PING_INTERVAL_S": "1",
        "MYNAH_LEASE_S": "1",
        "MYNAH_HEARTBEAT_S": "0.3",
        "MYNAH_SWEEP_INTERVAL_S": "0.3",
        "MYNAH_PUBLIC_URL": f"http://{address}",
        "MYNAH_WEBHOOKS_ALLOW_PRIVATE": "true",
        "MYNAH_MAX_QUESTION_S": "6",
        "MYNAH_RECOGNITION_TIMEOUT_S": "3",
        "MYNAH_RESPONDER_SILENCE_S": "1.5",
        "OMP_NUM_THREADS": "1",
    }


@contextmanager
def _started(gateway: Gateway, redis: RedisPart, folder: Path) -> Iterator[Stage]:
    address = f"{HOST}:{find_spare_port()}"
    environment = _environment(gateway, folder, address)
    (folder / "notes").touch()
    stage = Stage(gateway, redis, f"http://{address}", folder, environment, add_voice(gateway))
    try:
        stage.start_speaker("speaker-1")
        stage.start_speaker("speaker-2")
        stage.start_worker("audio", "services.audio_proc.app", "audio")
        stage.start_worker("maintenance", "services.audio_proc.maintenance", "maintenance")
        beat = ("-A", "services.audio_proc.beat", "beat", "-s", str(folder / "schedule"))
        stage.start("beat", "-m", "celery", *beat)
        stage.start_gateway("gateway", address)
        yield stage
    finally:
        for process in stage.processes.values():
            process.kill()


@pytest.fixture
def ann(stage: Stage) -> Account:
    """Somebody who listens to nothing yet."""
    account = stage.gateway.register()
    secret = stage.gateway.container.settings
    token, _ = issue_token(secret, account.id, "access")
    return Account(account.id, account.email, token, account.key)


def add_voice(gateway: Gateway) -> UUID:
    with gateway.container.new_uow() as uow:
        voice = Voice(
            id=new_id(), name=f"Slow {secrets.token_hex(3)}", language="en-us", engine="slow",
            engine_voice="one", state=VoiceState.READY, visibility=Visibility.PUBLIC,
        )  # fmt: skip
        uow.voices.add(voice)
        uow.commit()
        return voice.id


def _install_plugin(folder: Path) -> Path:
    info = folder / "plugin" / "mynah_slow-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mynah-slow\nVersion: 0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return info.parent


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def client(stage: Stage, ann: Account) -> Iterator[Client]:
    with connect(address(stage), additional_headers=ann.auth) as connection:
        opened = Client(connection)
        opened.until("ready")
        yield opened
    wait_for(lambda: stage.listeners() == 0, 5, "the slot was not freed")


@pytest.fixture
def recognizer(stage: Stage) -> Recognizer:
    folder = stage.folder / "recognizer-weights"
    folder.mkdir(exist_ok=True)
    (folder / HEARD).write_text("")
    found = Recognizer(folder)
    found.will_hear(QUESTION)
    if "recognizer" not in stage.processes:
        stage.start_worker(
            *("recognizer", "services.audio_proc.app", "recognize"),
            MYNAH_RECOGNIZER_DIR=str(folder),
        )
        wait_for(lambda: has_recognizer(stage), 10, "the recogniser was not announced")
    return found


@pytest.fixture(scope="package")
def responder_server() -> Iterator[Responder]:
    with open_responder() as responder:
        yield responder


@pytest.fixture
def responder(responder_server: Responder) -> Responder:
    responder_server.begin_anew()
    return responder_server


@pytest.fixture
def secret(stage: Stage, ann: Account, responder: Responder) -> str:
    """The account's responder is the server; its secret."""
    body = {"url": responder.url, "events": ["question.asked"]}
    with stage.client(ann) as api:
        answer = api.post("/api/webhooks", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["secret"])


def has_recognizer(stage: Stage) -> bool:
    reports = stage.gateway.container.presence.reports().values()
    return any(report.recognizer is not None for report in reports)
