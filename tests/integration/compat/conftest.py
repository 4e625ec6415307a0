"""A gateway under gunicorn with real workers, to be called by the vendors' own SDKs."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import openai
import pytest
from elevenlabs import ElevenLabs
from pydantic import SecretStr

from deploy.local.ports import HOST, find_spare_port
from mynah.audio.wav import encode_wav
from mynah.settings import Settings
from services.api.app import create_app
from services.api.bootstrap import Container, build_container
from services.api.use_cases.voices import seed_builtin_voices
from tests.factories import close_engine
from tests.integration.api.gateway import Account, Gateway
from tests.integration.voices.studio import speak
from tests.parts import PostgresPart, RedisPart, ServiceProcess, clone_database

#: A Redis database of its own, with workers that take its messages.
REDIS_DATABASE = 12
QUOTA = 1_000_000


@dataclass(frozen=True)
class Stack:
    """The running gateway, and its parts to look behind it."""

    url: str
    gateway: Gateway

    @property
    def container(self) -> Container:
        return self.gateway.container

    def openai(self, account: Account, **options: object) -> openai.OpenAI:
        return openai.OpenAI(
            base_url=f"{self.url}/v1", api_key=account.key, **{"max_retries": 0, **options}
        )

    @contextmanager
    def elevenlabs(self, key: str) -> Iterator[ElevenLabs]:
        """The SDK with a connection that is closed; it has no way of its own to do so."""
        with httpx.Client(timeout=60) as connection:
            yield ElevenLabs(base_url=self.url, api_key=key, httpx_client=connection)


@pytest.fixture(scope="package")
def stack(
    postgres: PostgresPart, redis: RedisPart, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("compat")
    with redis.client(REDIS_DATABASE) as client:
        client.flushdb()
    with clone_database(postgres) as url:
        settings = Settings(
            database_url=url,
            redis_url=redis.url(REDIS_DATABASE),
            storage_dir=folder / "objects",
            jwt_secret=SecretStr(secrets.token_hex(32)),
            rate_limit_per_minute=1_000_000,
            monthly_character_quota=QUOTA,
        )
        container = build_container(settings)
        container.store.create()
        with container.new_uow() as uow:
            seed_builtin_voices(uow)
            uow.commit()
        try:
            yield from _running(settings, Gateway(create_app(container), container), folder)
        finally:
            with container.new_uow() as uow:
                close_engine(uow.session.get_bind())  # type: ignore[arg-type]
            container.sender.close()
            container.broker.close()
            container.presence.close()


def _running(settings: Settings, gateway: Gateway, folder: Path) -> Iterator[Stack]:
    address = f"{HOST}:{find_spare_port()}"
    environment = {**os.environ, **_environment(settings)}
    gunicorn = [
        *("-m", "gunicorn", "--config", "python:services.api.gunicorn_conf"),
        *("--workers", "1", "--bind", address, "services.api.wsgi:app"),
    ]
    worker = [
        *("worker", "-P", "prefork", "-c", "1"),
        *("--disable-prefetch", "--without-mingle", "--without-gossip"),
    ]
    speaker = ["-m", "celery", "-A", "services.worker_tts.app", *worker, "-n", "speaker@%h"]
    audio = ["-m", "celery", "-A", "services.audio_proc.app", *worker, "-n", "audio@%h"]
    start = ServiceProcess.python
    with (
        start("gateway", gunicorn, environment, folder / "gateway.log") as server,
        start(
            "speaker",
            [*speaker, "-Q", "tts.espeak.live,tts.espeak.batch"],
            environment,
            folder / "speaker.log",
        ) as speaking,
        start("audio", [*audio, "-Q", "audio"], environment, folder / "audio.log") as working,
    ):
        for process in (speaking, working):
            process.wait_until_ready(lambda p=process: "ready." in p.log_tail(), timeout_s=60)
        server.wait_until_ready(lambda: _answers(f"http://{address}/ready"))
        yield Stack(f"http://{address}", gateway)


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "MYNAH_DATABASE_URL": settings.database_url,
        "MYNAH_REDIS_URL": settings.redis_url,
        "MYNAH_STORAGE_DIR": str(settings.storage_dir),
        "MYNAH_JWT_SECRET": settings.jwt_secret.get_secret_value(),
        "MYNAH_RATE_LIMIT_PER_MINUTE": str(settings.rate_limit_per_minute),
        "MYNAH_MONTHLY_CHARACTER_QUOTA": str(settings.monthly_character_quota),
        "OMP_NUM_THREADS": "1",
    }


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def account(stack: Stack) -> Account:
    """Somebody who has nothing yet."""
    return stack.gateway.register()


@pytest.fixture(scope="package")
def recording() -> bytes:
    """About ten seconds of speech as WAV."""
    return encode_wav(speak())
