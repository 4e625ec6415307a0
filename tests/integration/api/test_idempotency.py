"""A creating request with an Idempotency-Key may be repeated: it does its work once."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from mynah.db.clock import utc_now
from mynah.db.models import Job, NamedRequest, Sample
from mynah.db.repositories.named_requests import RequestName
from mynah.errors import DatabaseUnavailable
from services.api.use_cases import speech
from tests.integration.api.gateway import ADA, Account, Gateway, error_of

ORDER = {"text": "Hello there.", "voice_id": str(ADA), "title": "A tale"}
REPLAYED = "Idempotent-Replayed"


@pytest.fixture
def key() -> str:
    """A key that nobody has used."""
    return str(uuid4())


def post(
    api: Gateway, who: Account, key: str, body: Any = ORDER, path: str = "/api/tts/generate"
) -> TestResponse:
    headers = {**who.auth, "Idempotency-Key": key}
    return api.client.post(path, json=body, headers=headers)


def upload(api: Gateway, who: Account, key: str, data: bytes, name: str = "Ann") -> TestResponse:
    form = {"file": (io.BytesIO(data), "ann.wav", "audio/wav"), "name": name}
    headers = {**who.auth, "Idempotency-Key": key}
    return api.client.post("/api/samples", data=form, headers=headers)


def count(api: Gateway, model: type[Any], who: Account) -> int:
    with api.container.new_uow() as uow:
        found = uow.session.scalar(select(func.count()).where(model.user_id == who.id))
    return int(found or 0)


def change(api: Gateway, key: str, **columns: Any) -> None:
    with api.container.new_uow() as uow:
        uow.session.execute(update(NamedRequest).where(NamedRequest.key == key).values(**columns))
        uow.commit()


def test_a_repetition_gets_the_same_bytes_and_makes_nothing(api: Gateway, key: str) -> None:
    ann = api.register()
    first, again = post(api, ann, key), post(api, ann, key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.data == again.data
    assert first.content_type == again.content_type
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert count(api, Job, ann) == 1


def test_the_answer_stays_the_first_one_while_the_job_goes_on(api: Gateway, key: str) -> None:
    ann = api.register()
    first = post(api, ann, key)
    api.complete_job(first.get_json()["job_id"])
    assert post(api, ann, key).get_json()["status"] == "pending"


def test_json_counts_by_its_content_not_its_spelling(api: Gateway, ann: Account, key: str) -> None:
    first = post(api, ann, key)
    spelled = json.dumps(dict(reversed(ORDER.items())), indent=3)
    again = api.client.post(
        "/api/tts/generate",
        data=spelled,
        content_type="application/json",
        headers={**ann.auth, "Idempotency-Key": key},
    )
    assert again.data == first.data


def test_another_body_path_or_query_under_the_same_key_is_a_conflict(
    api: Gateway, ann: Account, key: str
) -> None:
    post(api, ann, key)
    for body, path in (
        ({**ORDER, "text": "Good bye."}, "/api/tts/generate"),
        (ORDER, "/api/tts/generate?a=1"),
        ({"name": "app"}, "/api/auth/keys"),
    ):
        answer = post(api, ann, key, body, path)
        assert error_of(answer, 409)["error_code"] == "idempotency_conflict"


def test_keys_belong_to_their_user(api: Gateway, ann: Account, bob: Account, key: str) -> None:
    first, other = post(api, ann, key), post(api, bob, key)
    assert REPLAYED not in other.headers
    assert first.get_json()["job_id"] != other.get_json()["job_id"]


def test_another_credential_of_the_user_does_not_see_the_answer(api: Gateway, key: str) -> None:
    ann = api.register()
    made = post(api, ann, key, {"name": "app"}, "/api/auth/keys")
    assert made.status_code == 201
    headers = {**ann.key_auth, "Idempotency-Key": key}
    answer = api.client.post("/api/auth/keys", json={"name": "app"}, headers=headers)
    assert error_of(answer, 409)["error_code"] == "idempotency_conflict"
    assert post(api, ann, key, {"name": "app"}, "/api/auth/keys").data == made.data


def test_a_stored_answer_cannot_be_read_in_the_database(api: Gateway, key: str) -> None:
    ann = api.register()
    made = post(api, ann, key, {"name": "app"}, "/api/auth/keys")
    with api.container.new_uow() as uow:
        row = uow.named_requests.get(RequestName(ann.id, key, ""))
    assert row is not None
    assert row.sealed_body is not None
    assert made.get_json()["key"].encode() not in row.sealed_body


def test_uploads_count_by_their_files_content(api: Gateway, key: str) -> None:
    ann = api.register()
    first = upload(api, ann, key, b"RIFF....WAVE")
    again = upload(api, ann, key, b"RIFF....WAVE")  # the client draws another boundary
    assert first.status_code == 201
    assert (again.status_code, again.data) == (201, first.data)
    for data, name in ((b"RIFF....WAVF", "Ann"), (b"RIFF....WAVE", "Bob")):
        other = upload(api, ann, key, data, name)
        assert error_of(other, 409)["error_code"] == "idempotency_conflict"
    assert count(api, Sample, ann) == 1
    stored = api.client.get(first.get_json()["audio_url"], headers=ann.auth)
    assert stored.data == b"RIFF....WAVE"


def test_parts_that_tell_neither_name_nor_type_are_no_fault_of_ours(
    api: Gateway, ann: Account, key: str
) -> None:
    part = 'Content-Disposition: form-data; name="file"; filename="a"\r\nContent-Type:\r\n\r\nRIFF'
    for body in (
        part,
        part.replace('; name="file"', ""),
        "Content-Disposition: form-data\r\n\r\nRIFF",
    ):
        answer = api.client.post(
            "/api/samples",
            data=f"--x\r\n{body}\r\n--x--\r\n",
            content_type="multipart/form-data; boundary=x",
            headers={**ann.auth, "Idempotency-Key": f"{key}{len(body)}"},
        )
        assert answer.status_code in (201, 400, 422)


def test_ten_at_once_make_one_job(api: Gateway, key: str) -> None:
    ann = api.register()
    together = threading.Barrier(10)

    def ask(_: int) -> TestResponse:
        together.wait()
        return post(api, ann, key)

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(ask, range(10)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.data for answer in answers}) == 1
    assert sum(REPLAYED not in answer.headers for answer in answers) == 1
    assert count(api, Job, ann) == 1


def test_a_request_whose_first_is_not_done_is_told_to_wait(
    new_gateway: Callable[..., Gateway], key: str
) -> None:
    api = new_gateway(idempotency_wait_s=0.1)
    ann = api.register()
    post(api, ann, key)
    soon = utc_now() + timedelta(seconds=60)
    change(api, key, status=None, lease_until=soon)
    answer = post(api, ann, key)
    assert error_of(answer, 409)["error_code"] == "request_in_progress"
    assert answer.headers["Retry-After"] == "1"
    other = post(api, ann, key, {**ORDER, "text": "Other."})
    assert error_of(other, 409)["error_code"] == "idempotency_conflict"


def test_a_request_that_died_frees_its_key_with_its_lease(api: Gateway, key: str) -> None:
    ann = api.register()
    post(api, ann, key)
    change(api, key, status=None, lease_until=utc_now())
    answer = post(api, ann, key, {**ORDER, "text": "Another."})
    assert answer.status_code == 202
    assert REPLAYED not in answer.headers


def test_work_that_outlasts_its_lease_is_done_once(
    new_gateway: Callable[..., Gateway], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = new_gateway(idempotency_lease_s=0.3, idempotency_wait_s=0.0)
    ann = api.register()
    order_speech = speech.order_speech
    is_begun, may_end = threading.Event(), threading.Event()

    def order_slowly(*arguments: Any) -> Job:
        is_begun.set()
        assert may_end.wait(20)
        return order_speech(*arguments)

    monkeypatch.setattr(speech, "order_speech", order_slowly)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, api, ann, key)
        assert is_begun.wait(20)
        until = time.monotonic() + 1.0  # three leases
        while time.monotonic() < until:
            assert error_of(post(api, ann, key), 409)["error_code"] == "request_in_progress"
            time.sleep(0.05)
        may_end.set()
        assert first.result(timeout=20).status_code == 202
    assert post(api, ann, key).headers[REPLAYED] == "true"
    assert count(api, Job, ann) == 1


def test_a_key_is_free_after_its_time_and_swept(api: Gateway, key: str) -> None:
    ann = api.register()
    first = post(api, ann, key)
    change(api, key, expires_at=utc_now())
    second = post(api, ann, key)
    assert second.get_json()["job_id"] != first.get_json()["job_id"]
    change(api, key, expires_at=utc_now())
    with api.container.new_uow() as uow:
        assert uow.named_requests.delete_expired(10) == 1
        uow.commit()
    assert count(api, NamedRequest, ann) == 0


def test_errors_of_the_caller_are_answers_too(api: Gateway, ann: Account, key: str) -> None:
    order = {**ORDER, "voice_id": str(uuid4())}
    first, again = post(api, ann, key, order), post(api, ann, key, order)
    assert first.status_code == 404
    assert (again.status_code, again.data) == (404, first.data)
    assert again.headers[REPLAYED] == "true"


def test_errors_of_ours_are_not_kept(
    api: Gateway, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = api.register()

    def fail(*_: object) -> None:
        raise DatabaseUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(speech, "order_speech", fail)
        assert post(api, ann, key).status_code == 503
    answer = post(api, ann, key)
    assert answer.status_code == 202
    assert REPLAYED not in answer.headers


def test_a_used_up_quota_is_not_kept(api: Gateway, key: str) -> None:
    ann = api.register()
    with api.container.new_uow() as uow:
        account = uow.users.get(ann.id)
        assert account is not None
        account.monthly_character_quota = 0
        uow.commit()
    assert post(api, ann, key).status_code == 429
    with api.container.new_uow() as uow:
        account = uow.users.get(ann.id)
        assert account is not None
        account.monthly_character_quota = None
        uow.commit()
    assert post(api, ann, key).status_code == 202


def test_an_answer_that_is_too_large_is_not_given_again_but_done_once(
    new_gateway: Callable[..., Gateway], key: str
) -> None:
    api = new_gateway(idempotency_max_answer_bytes=10)
    ann = api.register()
    assert post(api, ann, key).status_code == 202
    refused = error_of(post(api, ann, key), 409)
    assert refused["error_code"] == "answer_not_kept"
    assert count(api, Job, ann) == 1


def test_audio_answers_are_replayed_whole(
    api: Gateway, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = api.register()
    order_speech = speech.order_speech

    def order_spoken(*arguments: Any) -> Job:
        job = order_speech(*arguments)
        key = f"stories/en-us/user/{job.id}.mp3"
        api.container.store.put(key, b"0123456789" * 100, "audio/mpeg")
        job.state, job.output_key, job.output_format = "completed", key, "mp3"
        return job

    monkeypatch.setattr(speech, "order_speech", order_spoken)
    order = {"text": "Hello there.", "voice_id": str(ADA)}
    first, again = (post(api, ann, key, order, "/tts/generate") for _ in range(2))
    assert first.status_code == 200
    assert first.data == b"0123456789" * 100
    assert (again.status_code, again.data) == (200, first.data)
    for header in ("Content-Type", "Content-Disposition", "ETag", "X-Job-ID"):
        assert again.headers[header] == first.headers[header]
    assert UUID(again.headers["X-Job-ID"])
    assert count(api, Job, ann) == 1


@pytest.mark.parametrize("bad", ["", "a" * 256, "a\x7fb", "clé", "\t"])
def test_a_key_that_cannot_be_is_refused(api: Gateway, ann: Account, bad: str) -> None:
    answer = post(api, ann, bad)
    assert error_of(answer, 422)["error_code"] == "invalid_idempotency_key"


def test_nobody_gets_an_answer_without_credentials(api: Gateway, ann: Account, key: str) -> None:
    post(api, ann, key)
    answer = api.client.post("/api/tts/generate", json=ORDER, headers={"Idempotency-Key": key})
    error_of(answer, 401)


def test_every_route_that_creates_takes_a_key(api: Gateway) -> None:
    document = api.client.get("/openapi.json").get_json()
    creating = {
        path: {parameter["name"] for parameter in item["post"].get("parameters", [])}
        for path, item in document["paths"].items()
        if "post" in item and {"201", "202"} & set(item["post"]["responses"])
    }
    # Who registers has no name yet under which a key could be kept; a second try is a 409.
    del creating["/api/auth/register"]
    assert len(creating) >= 13
    for path, parameters in creating.items():
        assert "Idempotency-Key" in parameters, path
    generate = document["paths"]["/tts/generate"]["post"]
    assert {"name": "Idempotency-Key", "in": "header"}.items() <= generate["parameters"][0].items()
