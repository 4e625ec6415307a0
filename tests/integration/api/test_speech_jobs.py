"""Speech jobs as their owner sees them: ask, look, list, cancel, fetch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from mynah.contracts.states import JobState, VoiceState
from mynah.db.clock import utc_now
from mynah.db.models import Job, Step
from mynah.db.repositories.usage import period_of
from services.api.use_cases.speech import seconds_to_next_month
from tests.integration.api.gateway import ADA, NOBODY, Account, Gateway, error_of

JOB_FIELDS = {
    "job_id",
    "user_id",
    "voice_model_id",
    "text",
    "status",
    "output_format",
    "voice_settings",
    "estimated_duration_s",
    "actual_duration_s",
    "estimated_cost",
    "actual_cost",
    "quality_score",
    "output_url",
    "created_at",
    "started_at",
    "completed_at",
    "error_code",
    "error_message",
}


def ordered(api: Gateway, account: Account, **body: Any) -> dict[str, Any]:
    response = api.generate(account, **body)
    assert response.status_code == 202, response.get_data(as_text=True)
    job: dict[str, Any] = response.get_json()
    return job


def usage_of(api: Gateway, account: Account) -> tuple[int, int]:
    with api.container.new_uow() as uow:
        usage = uow.usage.get(account.id, period_of(utc_now()))
    return (usage.characters, usage.jobs) if usage else (0, 0)


def count_jobs(api: Gateway, account: Account) -> int:
    with api.container.new_uow() as uow:
        return uow.session.query(Job).filter_by(user_id=account.id).count()


def test_speech_is_accepted_with_estimates(api: Gateway, ann: Account) -> None:
    settings = {"stability": 0.2, "speed": 1.5}
    job = ordered(
        api,
        ann,
        text="  Once upon a time.\r\nThe end. ",
        output_format="ogg",
        quality="premium",
        title="A tale",
        voice_settings=settings,
    )
    assert job.keys() >= JOB_FIELDS
    assert (job["status"], job["progress"]) == ("pending", 0)
    assert (job["user_id"], job["voice_model_id"]) == (str(ann.id), str(ADA))
    assert job["text"] == "Once upon a time.\nThe end."
    assert (job["output_format"], job["bitrate_kbps"], job["title"]) == ("ogg", 128, "A tale")
    assert job["voice_settings"].items() >= settings.items()
    assert job["language"] == "en-us"
    assert job["estimated_duration_s"] > 0
    assert job["estimated_cost"] >= 0
    assert job["actual_duration_s"] is None
    assert job["output_url"] is None


def test_a_job_is_found_by_its_id(api: Gateway, ann: Account) -> None:
    job = ordered(api, ann)
    found = api.client.get(f"/api/tts/job/{job['job_id']}", headers=ann.auth)
    assert found.get_json() == job


def test_the_message_of_a_job_waits_on_its_queue(api: Gateway, ann: Account) -> None:
    before = api.container.broker.queue_depth("tts.espeak.batch")
    ordered(api, ann)
    assert api.container.broker.queue_depth("tts.espeak.batch") == before + 1


def test_the_voice_may_be_named_as_in_a_job(api: Gateway, ann: Account) -> None:
    body = {"text": "Hello.", "voice_model_id": str(ADA)}
    answer = api.client.post("/api/tts/generate", json=body, headers=ann.auth)
    assert answer.status_code == 202
    assert answer.get_json()["voice_model_id"] == str(ADA)
    differing = api.generate(ann, voice_model_id=str(NOBODY))
    assert "voice_model_id" in str(error_of(differing, 422)["errors"])


def test_a_voice_that_is_unknown_or_not_ready_is_refused(api: Gateway, ann: Account) -> None:
    unknown = error_of(api.generate(ann, voice_id=str(NOBODY)), 404)
    assert unknown["error_code"] == "voice_not_found"
    voice = api.add_voice(ann, state=VoiceState.CLONING)
    unready = error_of(api.generate(ann, voice_id=str(voice.id)), 409)
    assert unready["error_code"] == "voice_not_ready"


def test_a_language_that_is_not_spoken_is_refused(api: Gateway, ann: Account) -> None:
    error = error_of(api.generate(ann, language="tlh"), 422)
    assert error["error_code"] == "unsupported_language"


def test_texts_are_taken_up_to_the_limit(new_gateway: Callable[..., Gateway]) -> None:
    gateway = new_gateway(max_text_characters=40, max_sync_characters=20)
    account = gateway.register()
    assert gateway.generate(account, text="a" * 40).status_code == 202
    error = error_of(gateway.generate(account, text="a" * 41), 422)
    assert error["error_code"] == "text_too_long"
    assert "40" in error["message"]
    body = {"text": "a" * 21, "voice_id": str(ADA)}
    at_once = gateway.client.post("/tts/generate", json=body, headers=account.auth)
    assert error_of(at_once, 422)["error_code"] == "text_too_long"


def test_fifty_thousand_characters_are_taken(api: Gateway, ann: Account) -> None:
    text = "Once upon a time there was a bird. " * 1430
    job = ordered(api, ann, text=text)
    assert job["characters"] == len(text.strip()) > 50_000
    assert job["estimated_duration_s"] > 1800
    with api.container.new_uow() as uow:
        steps = uow.session.query(Step).filter_by(job_id=UUID(job["job_id"])).count()
    assert steps > 80


@pytest.mark.parametrize("text", ["", " \n\t ", "…", "\u200b\u200d", "\x07"])
def test_a_text_without_anything_to_speak_is_refused(api: Gateway, ann: Account, text: str) -> None:
    error_of(api.generate(ann, text=text), 422)


def test_jobs_are_listed_newest_first_page_by_page(api: Gateway) -> None:
    account = api.register()
    ids = [ordered(api, account, text=f"Number {number}.")["job_id"] for number in range(5)]
    listed: list[str] = []
    query = "limit=2"
    for _ in range(3):
        page = api.client.get(f"/api/tts/jobs?{query}", headers=account.auth).get_json()
        listed += [item["job_id"] for item in page["items"]]
        query = f"limit=2&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert listed == ids[::-1]


def test_jobs_are_listed_by_status(api: Gateway) -> None:
    account = api.register()
    kept, cancelled = ordered(api, account), ordered(api, account)
    api.client.post(f"/api/tts/job/{cancelled['job_id']}/cancel", headers=account.auth)
    for status, job in (("pending", kept), ("cancelled", cancelled)):
        page = api.client.get(f"/api/tts/jobs?status={status}", headers=account.auth)
        assert [item["job_id"] for item in page.get_json()["items"]] == [job["job_id"]]


def test_cancelling_twice_is_no_error_and_gives_characters_back_once(api: Gateway) -> None:
    account = api.register()
    ordered(api, account, text="Kept.")
    job = ordered(api, account, text="To be cancelled.")
    assert usage_of(api, account)[0] == len("Kept.") + len("To be cancelled.")
    for _ in range(2):
        answer = api.client.post(f"/api/tts/job/{job['job_id']}/cancel", headers=account.auth)
        assert answer.status_code == 200
        assert answer.get_json()["status"] == "cancelled"
        assert usage_of(api, account)[0] == len("Kept.")


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED])
def test_a_job_that_has_ended_cannot_be_cancelled(
    api: Gateway, ann: Account, state: JobState
) -> None:
    job = ordered(api, ann)
    api.change_job(job["job_id"], state=state, ended_at=utc_now())
    answer = api.client.post(f"/api/tts/job/{job['job_id']}/cancel", headers=ann.auth)
    assert error_of(answer, 409)["error_code"] == "job_ended"


@pytest.mark.parametrize("state", [state for state in JobState if state != JobState.COMPLETED])
def test_there_is_no_output_unless_the_job_is_completed(
    api: Gateway, ann: Account, state: JobState
) -> None:
    job = ordered(api, ann)
    api.change_job(job["job_id"], state=state)
    for place in ("result", "download"):
        answer = api.client.get(f"/api/tts/job/{job['job_id']}/{place}", headers=ann.auth)
        assert error_of(answer, 409)["error_code"] == "job_not_completed"


def test_a_finished_output_is_described_and_downloaded(api: Gateway, ann: Account) -> None:
    job = ordered(api, ann, title='Ünï "tale" 1/2?')
    data = bytes(range(256)) * 8
    api.complete_job(job["job_id"], data)
    path = f"/api/tts/job/{job['job_id']}"
    result = api.client.get(f"{path}/result", headers=ann.auth).get_json()
    assert result["status"] == "completed"
    assert result["content_type"] == "audio/mpeg"
    assert result["output_size_bytes"] == len(data)
    assert result["download_url"].endswith(f"{path}/download")
    assert result["details"] == {"sample_rate": 22050, "channels": 1}
    whole = api.client.get(f"{path}/download", headers=ann.key_auth)
    assert (whole.status_code, whole.mimetype, whole.data) == (200, "audio/mpeg", data)
    assert "filename*=UTF-8''%C3%9Cn" in whole.headers["Content-Disposition"]
    head = api.client.head(f"{path}/download", headers=ann.auth)
    assert (head.status_code, head.content_length, head.data) == (200, len(data), b"")


def test_a_range_of_an_output_is_downloaded(api: Gateway, ann: Account) -> None:
    job = ordered(api, ann)
    data = bytes(range(256)) * 8
    api.complete_job(job["job_id"], data)
    path = f"/api/tts/job/{job['job_id']}/download"
    part = api.client.get(path, headers={**ann.auth, "Range": "bytes=100-199"})
    assert (part.status_code, part.data) == (206, data[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(data)}"
    outside = api.client.get(path, headers={**ann.auth, "Range": "bytes=5000-"})
    assert error_of(outside, 416)
    assert outside.headers["Content-Range"] == f"bytes */{len(data)}"


def test_an_output_is_gone_after_its_retention(api: Gateway, ann: Account) -> None:
    job = ordered(api, ann)
    api.change_job(job["job_id"], state=JobState.COMPLETED, output_key=None)
    for place in ("result", "download"):
        answer = api.client.get(f"/api/tts/job/{job['job_id']}/{place}", headers=ann.auth)
        assert error_of(answer, 410)["error_code"] == "output_expired"


def test_speech_beyond_the_quota_is_refused_and_not_counted(api: Gateway, admin: Account) -> None:
    account = api.register()
    path = f"/api/admin/users/{account.id}"
    quota = {"monthly_character_quota": 20}
    assert api.client.patch(path, json=quota, headers=admin.auth).status_code == 200
    first = ordered(api, account, text="Twelve chars")
    depth = api.container.broker.queue_depth("tts.espeak.batch")
    refused = api.generate(account, text="Nine more")
    assert error_of(refused, 429)["error_code"] == "quota_exceeded"
    until_next_month = seconds_to_next_month(utc_now())
    assert abs(int(refused.headers["Retry-After"]) - until_next_month) < 60
    assert usage_of(api, account) == (12, 1)
    assert count_jobs(api, account) == 1
    assert api.container.broker.queue_depth("tts.espeak.batch") == depth
    assert ordered(api, account, text="8 chars.")["status"] == "pending"
    assert usage_of(api, account) == (20, 2)
    kept = api.client.get(f"/api/tts/job/{first['job_id']}", headers=account.auth).get_json()
    assert kept["status"] == "pending"


def test_the_small_api_answers_with_the_audio_once_it_is_spoken(
    new_gateway: Callable[..., Gateway],
) -> None:
    gateway = new_gateway(sync_timeout_s=0.05)
    account = gateway.register()
    body = {"text": "Hello.", "voice_id": str(ADA)}
    late = gateway.client.post("/tts/generate", json=body, headers=account.key_auth)
    error = error_of(late, 504)
    assert error["error_code"] == "speech_timeout"
    jobs = gateway.client.get("/api/tts/jobs", headers=account.auth).get_json()["items"]
    assert [job["status"] for job in jobs] == ["pending"]
    assert jobs[0]["job_id"] in error["message"]


def test_the_small_api_says_404_with_a_detail_for_an_unknown_voice(
    api: Gateway, ann: Account
) -> None:
    body = {"text": "Hello.", "voice_id": str(NOBODY)}
    answer = api.client.post("/tts/generate", json=body, headers=ann.key_auth)
    assert error_of(answer, 404)["detail"] == "There is no such voice."


def test_the_small_api_lists_and_deletes_voices(api: Gateway, ann: Account) -> None:
    voice = api.add_voice(ann)
    shown = api.client.get(f"/voices/{voice.id}", headers=ann.key_auth).get_json()
    assert shown == {
        "voice_id": str(voice.id),
        "name": "Ann",
        "language": "en-us",
        "status": "ready",
    }
    listed = api.client.get("/voices?limit=100", headers=ann.key_auth).get_json()["items"]
    assert shown in listed
    deleted = api.client.delete(f"/voices/{voice.id}", headers=ann.key_auth)
    assert deleted.get_json() == {"voice_id": str(voice.id), "deleted": True}
    error_of(api.client.get(f"/voices/{voice.id}", headers=ann.key_auth), 404)
