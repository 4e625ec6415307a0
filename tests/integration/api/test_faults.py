"""Parts that go away: the gateway says so at once, loses nothing, and works again by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from mynah.contracts.states import JobState
from mynah.db.models import Job, Step
from services.api.errors import UNAVAILABLE_RETRY_S
from tests.integration.api.gateway import Account, Gateway, error_of, open_gateway
from tests.parts import PostgresPart, RedisPart, clone_database

#: Ten pieces and more: a broker that is away must not cost a timeout for each of them.
STORY = "Once upon a time there was a bird that could speak, and it spoke all day. " * 100


@pytest.fixture
def own_postgres(postgres: PostgresPart, parts_folder: Path) -> Iterator[PostgresPart]:
    """A Postgres that the test may kill; the shared one skips where there is none."""
    folder = parts_folder / "own"
    folder.mkdir()
    folder.chmod(0o711)
    with PostgresPart(folder) as part:
        yield part


@pytest.fixture
def own_redis(redis: RedisPart, tmp_path: Path) -> Iterator[RedisPart]:
    """A Redis that the test may kill; the shared one skips where there is none."""
    with RedisPart(tmp_path / "own") as part:
        yield part


def test_without_its_database_the_gateway_says_so_and_recovers(
    own_postgres: PostgresPart, redis_url: str, tmp_path: Path
) -> None:
    with (
        clone_database(own_postgres) as url,
        open_gateway(url, redis_url, tmp_path / "objects") as api,
    ):
        account = api.register()
        job = api.generate(account).get_json()["job_id"]
        own_postgres.kill()
        try:
            check_without_database(api, account, job)
        finally:
            own_postgres.restart()
        found = api.client.get(f"/api/tts/job/{job}", headers=account.auth)
        assert found.get_json()["status"] == "pending"
        assert api.generate(account).status_code == 202
        assert api.client.get("/ready").status_code == 200


def check_without_database(api: Gateway, account: Account, job: str) -> None:
    assert api.client.get("/health").status_code == 200
    ready = api.client.get("/ready")
    assert ready.status_code == 503
    assert ready.get_json()["checks"] == {
        "database": "database_unavailable",
        "broker": "ok",
        "storage": "ok",
    }
    assert b"mynah_database_up 0.0" in api.client.get("/metrics").data
    answers = [
        api.client.get("/api/auth/me", headers=account.auth),
        api.client.get("/api/auth/me", headers=account.key_auth),
        api.client.get(f"/api/tts/job/{job}", headers=account.auth),
        api.generate(account),
        api.upload(account),
        api.login(account),
        api.client.post("/tts/generate", json={}, headers=account.auth),
    ]
    for answer in answers:
        assert error_of(answer, 503)["error_code"] == "database_unavailable"
        assert answer.headers["Retry-After"] == str(UNAVAILABLE_RETRY_S)
    assert list(api.container.store.list("uploads/")) == []


def test_without_its_object_store_the_gateway_says_so_and_recovers(
    module_database: str, redis_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "objects"
    with open_gateway(module_database, redis_url, folder) as api:
        account = api.register()
        job = api.generate(account).get_json()["job_id"]
        api.complete_job(job)
        voice, sample = api.add_voice(account).id, api.add_sample(account).id
        folder.rename(tmp_path / "away")
        assert api.client.get("/health").status_code == 200
        ready = api.client.get("/ready")
        assert ready.status_code == 503
        assert ready.get_json()["checks"]["storage"] == "storage_unavailable"
        answers = [
            api.upload(account),
            api.client.get(f"/api/tts/job/{job}/download", headers=account.auth),
            api.client.get(f"/api/voices/{voice}/sample", headers=account.auth),
            api.client.get(f"/api/samples/{sample}/audio", headers=account.auth),
            api.client.delete(f"/api/samples/{sample}", headers=account.auth),
            api.client.delete(f"/api/voices/{voice}", headers=account.auth),
        ]
        for answer in answers:
            assert error_of(answer, 503)["error_code"] == "storage_unavailable"
            assert answer.headers["Retry-After"] == str(UNAVAILABLE_RETRY_S)
        # What needs no files goes on, and nothing was half done.
        assert api.generate(account).status_code == 202
        listed = api.client.get("/api/samples", headers=account.auth).get_json()["items"]
        assert [item["id"] for item in listed] == [str(sample)]
        (tmp_path / "away").rename(folder)
        assert api.client.get("/ready").status_code == 200
        sent = api.client.get(f"/api/tts/job/{job}/download", headers=account.auth)
        assert sent.status_code == 200
        assert api.client.get(f"/api/voices/{voice}", headers=account.auth).status_code == 200
        assert api.upload(account).status_code == 201


def test_a_file_that_is_gone_is_not_found(api: Gateway, ann: Account) -> None:
    job = api.generate(ann).get_json()["job_id"]
    api.container.store.delete(api.complete_job(job))
    answer = api.client.get(f"/api/tts/job/{job}/download", headers=ann.auth)
    assert error_of(answer, 404)["error_code"] == "object_not_found"


def test_without_its_broker_the_gateway_takes_jobs_and_loses_none(
    fresh_database: str, own_redis: RedisPart, tmp_path: Path
) -> None:
    with open_gateway(fresh_database, own_redis.url(), tmp_path / "objects") as api:
        account = api.register()
        assert api.generate(account).status_code == 202
        own_redis.kill()
        try:
            began = time.monotonic()
            answer = api.generate(account, text=STORY)
            took_s = time.monotonic() - began
            ready = api.client.get("/ready")
        finally:
            own_redis.restart()
        assert answer.status_code == 202
        assert took_s < 3
        assert ready.get_json()["checks"]["broker"] == "broker_unavailable"
        job = answer.get_json()["job_id"]
        listed = api.client.get("/api/tts/jobs", headers=account.auth).get_json()["items"]
        assert job in [item["job_id"] for item in listed]
        assert count_steps(api, job) > 10
        assert api.client.get("/ready").status_code == 200
        assert api.generate(account).status_code == 202


def test_without_its_broker_live_speech_is_refused_at_once_and_costs_nothing(
    fresh_database: str, own_redis: RedisPart, tmp_path: Path
) -> None:
    with open_gateway(fresh_database, own_redis.url(), tmp_path / "objects") as api:
        account = api.register()
        voice_id = str(api.add_voice(account).id)
        own_redis.kill()
        try:
            began = time.monotonic()
            order = {"text": "Good night.", "voice_id": voice_id}
            answer = api.client.post("/api/tts/stream", json=order, headers=account.auth)
            took_s = time.monotonic() - began
        finally:
            own_redis.restart()
        assert error_of(answer, 503)["error_code"] == "broker_unavailable"
        assert took_s < 3
        with api.container.new_uow() as uow:
            [job] = uow.session.query(Job).filter_by(user_id=account.id).all()
            usage = uow.usage.get(account.id, str(job.usage_period))
        assert job.state == JobState.CANCELLED
        assert usage is not None
        assert usage.characters == 0


def test_without_its_broker_the_gateway_still_limits(
    fresh_database: str, own_redis: RedisPart, tmp_path: Path
) -> None:
    limits = {"auth_rate_limit_per_minute": 3}
    with open_gateway(fresh_database, own_redis.url(), tmp_path / "objects", **limits) as api:
        account = api.register()
        own_redis.kill()
        answers = [api.login(account, "not the password") for _ in range(7)]
        assert {answer.status_code for answer in answers} == {401, 429}


def count_steps(api: Gateway, job_id: str) -> int:
    with api.container.new_uow() as uow:
        job = uow.session.get_one(Job, UUID(job_id))
        steps = uow.session.query(Step).filter_by(job_id=job.id).count()
        assert steps == job.steps_total
        return steps
