"""What the gateway's tests share: the gateway itself, accounts, and rows to ask for."""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from mynah.contracts.states import JobState, SampleState, Visibility, VoiceState
from mynah.db.clock import utc_now
from mynah.db.ids import new_id
from mynah.db.models import ApiKey, Job, Sample, User, Voice
from mynah.settings import Settings
from services.api.app import create_app
from services.api.auth.api_keys import generate_key
from services.api.auth.passwords import hash_password
from services.api.auth.scopes import ALL_SCOPES
from services.api.auth.tokens import issue_token
from services.api.bootstrap import Container, build_container
from services.api.use_cases.voices import seed_builtin_voices
from tests.factories import close_engine

PASSWORD = "correct horse battery"
#: The public voice that the tests speak as: Ada, American English.
ADA = uuid5(NAMESPACE_URL, "mynah:voice:espeak:ada")
NOBODY = UUID("01890000-0000-7000-8000-000000000000")
CONSENT = {"statement": "I agree that my voice is cloned.", "given_by": "Ann Example"}

_password_hash = hash_password(PASSWORD)


#: Where the shapes of other vendors are served; ``test_vendor_shapes`` tests them.
VENDOR_PATHS = ("/v1/", "/v2/", "/openai/")


@dataclass(frozen=True)
class Account:
    """A registered user, with an access token and an API key of all scopes."""

    id: UUID
    email: str
    token: str
    key: str

    @property
    def auth(self) -> dict[str, str]:
        """The header of a person."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def key_auth(self) -> dict[str, str]:
        """The header of an app."""
        return {"X-API-Key": self.key}


@dataclass(frozen=True)
class Gateway:
    """The app under test and its parts."""

    app: Flask
    container: Container

    @property
    def client(self) -> FlaskClient:
        """A client without cookies or credentials."""
        return self.app.test_client()

    def register(self, role: str = "user", scopes: tuple[str, ...] = ALL_SCOPES) -> Account:
        """An account, written straight into the database."""
        user = User(
            id=new_id(),
            email=f"{secrets.token_hex(6)}@example.org",
            password_hash=_password_hash,
            role=role,
        )
        new = generate_key()
        row = ApiKey(
            id=new_id(),
            user_id=user.id,
            name="test",
            prefix=new.prefix,
            key_hash=new.key_hash,
            scopes=list(scopes),
        )
        with self.container.new_uow() as uow:
            uow.users.add(user)
            uow.session.flush()
            uow.api_keys.add(row)
            uow.commit()
        token, _ = issue_token(self.container.settings, user.id, "access")
        return Account(user.id, user.email, token, new.key)

    def login(self, account: Account, password: str = PASSWORD) -> TestResponse:
        """Log in through the API."""
        body = {"email": account.email, "password": password}
        return self.client.post("/api/auth/login", json=body)

    def generate(self, account: Account, **body: Any) -> TestResponse:
        """Ask for speech; None leaves a field out."""
        order = {"text": "Hello there.", "voice_id": str(ADA), **body}
        order = {name: value for name, value in order.items() if value is not None}
        return self.client.post("/api/tts/generate", json=order, headers=account.auth)

    def upload(self, account: Account, data: bytes = b"RIFF....WAVE") -> TestResponse:
        """Upload something as a recording."""
        form = {"file": (io.BytesIO(data), "ann.wav", "audio/wav")}
        return self.client.post("/api/samples", data=form, headers=account.auth)

    def change_job(self, job_id: str | UUID, **columns: Any) -> None:
        """Write a job's columns as a worker would."""
        with self.container.new_uow() as uow:
            job = uow.session.get_one(Job, UUID(str(job_id)))
            for name, value in columns.items():
                setattr(job, name, value)
            uow.commit()

    def complete_job(self, job_id: str, data: bytes = b"0123456789" * 100) -> str:
        """Give a job an output, as its workers would; returns the key."""
        key = f"stories/en-us/user/{job_id}.mp3"
        self.container.store.put(key, data, "audio/mpeg")
        self.change_job(
            job_id,
            state=JobState.COMPLETED,
            progress=1.0,
            ended_at=utc_now(),
            output_key=key,
            output_size_bytes=len(data),
            actual_duration_s=1.0,
            quality_score=0.9,
            result={"sample_rate": 22050, "channels": 1},
        )
        return key

    def add_voice(self, owner: Account, **columns: Any) -> Voice:
        """A private voice that is ready, with its two files."""
        voice_id = new_id()
        roles = ("recorded", "spoken_sample")
        objects = {role: f"voices/en-us/{role}/{voice_id}.mp3" for role in roles}
        for key in objects.values():
            self.container.store.put(key, b"0123456789" * 100, "audio/mpeg")
        values: dict[str, Any] = {
            "name": "Ann",
            "language": "en-us",
            "engine": "espeak",
            "state": VoiceState.READY,
            "visibility": Visibility.PRIVATE,
            "objects": objects,
            "consent": {**CONSENT, "at": utc_now().isoformat(), "recorded_by": str(owner.id)},
            "facts": {},
        }
        voice = Voice(id=voice_id, user_id=owner.id, **{**values, **columns})
        with self.container.new_uow() as uow:
            uow.voices.add(voice)
            uow.commit()
        return voice

    def add_sample(self, owner: Account, **columns: Any) -> Sample:
        """A recording that is fit for a voice."""
        sample_id = new_id()
        key = f"uploads/{owner.id}/{sample_id}"
        self.container.store.put(key, b"0123456789" * 100, "audio/wav")
        values: dict[str, Any] = {
            "name": "Ann reads",
            "filename": "ann.wav",
            "content_type": "audio/wav",
            "size_bytes": 1000,
            "sha256": "0" * 64,
            "object_key": key,
            "state": SampleState.ANALYZED,
            "verdict": {"is_usable": True, "score": 0.9, "reasons": []},
        }
        sample = Sample(id=sample_id, user_id=owner.id, **{**values, **columns})
        with self.container.new_uow() as uow:
            uow.samples.add(sample)
            uow.commit()
        return sample

    def add_dictionary(self, owner: Account, **body: Any) -> dict[str, Any]:
        """A pronunciation dictionary of one rule, unless the body says otherwise."""
        rule = {"kind": "alias", "written": "Siobhan", "spoken": "Shivawn"}
        draft = {"name": "Names", "rules": [rule], **body}
        response = self.client.post("/api/dictionaries", json=draft, headers=owner.auth)
        assert response.status_code == 201, response.get_data(as_text=True)
        made: dict[str, Any] = response.get_json()
        return made

    def clone(self, owner: Account, **body: Any) -> TestResponse:
        """Ask for a voice."""
        order = {"name": "Ann", "language": "en", "consent": CONSENT, **body}
        return self.client.post("/api/voices", json=order, headers=owner.auth)


@contextmanager
def open_gateway(
    database_url: str, redis_url: str, folder: Path, **overrides: Any
) -> Iterator[Gateway]:
    """The gateway on a migrated database; limits are high unless a test says otherwise."""
    values: dict[str, Any] = {
        "database_url": database_url,
        "redis_url": redis_url,
        "storage_dir": folder,
        "jwt_secret": SecretStr(secrets.token_hex(32)),
        "rate_limit_per_minute": 1_000_000,
        "auth_rate_limit_per_minute": 1_000_000,
        **overrides,
    }
    container = build_container(Settings(**values))
    container.store.create()
    with container.new_uow() as uow:
        seed_builtin_voices(uow)
        uow.commit()
    try:
        yield Gateway(create_app(container), container)
    finally:
        with container.new_uow() as uow:
            close_engine(uow.session.get_bind())  # type: ignore[arg-type]
        container.sender.close()
        container.broker.close()
        container.presence.close()
        container.live.close()
        container.links.close()
        container.single_use_tokens.close()
        container.sessions.lines.close()


def error_of(response: TestResponse, status: int) -> dict[str, Any]:
    """The error body of a response that has to have this status and the one shape."""
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.mimetype == "application/json"
    body: dict[str, Any] = response.get_json()
    assert body["code"] == status
    assert body["message"]
    assert body["detail"] == body["message"]
    assert body["status"]
    assert body["error_code"]
    assert body["request_id"] == response.headers["X-Request-ID"]
    assert set(body) <= {
        "code",
        "status",
        "message",
        "detail",
        "error_code",
        "request_id",
        "errors",
    }
    return body
