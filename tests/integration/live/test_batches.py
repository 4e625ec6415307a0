"""Batches: many texts in one request, one archive of what became of them."""

from __future__ import annotations

import csv
import io
import json
import threading
import zipfile
from typing import Any
from uuid import UUID

import pytest

from mynah.audio.finished import check_output
from mynah.audio.formats import OutputSpec
from mynah.contracts.states import JobState, StepState
from mynah.db.clock import utc_now
from mynah.db.models import Job, Step
from mynah.db.repositories.usage import period_of
from mynah.errors import EngineFailed
from mynah.jobs.transitions import fail_job
from mynah.text.pronunciation import parse_rules
from services.api.use_cases import speech_planning
from services.api.use_cases.batches import cancel_batch
from tests.integration.api.gateway import ADA, NOBODY, error_of
from tests.integration.live.listening import finish
from tests.integration.voices.studio import Studio, json_of

DEFAULTS = {"voice_id": str(ADA)}
STEPS_OF_AN_ITEM = 2


def send(studio: Studio, *items: Any, **body: Any) -> Any:
    document = {"defaults": DEFAULTS, "items": list(items), **body}
    return studio.post("/api/tts/batch", json=document)


def ordered(studio: Studio, *items: Any, **body: Any) -> dict[str, Any]:
    response = send(studio, *items, **body)
    assert response.status_code == 202, response.get_data(as_text=True)
    return json_of(response)


def texts(count: int) -> list[dict[str, Any]]:
    return [{"text": f"Number {number}."} for number in range(count)]


def shown(studio: Studio, batch: dict[str, Any], query: str = "") -> dict[str, Any]:
    response = studio.get(f"/api/tts/batch/{batch['batch_id']}{query}")
    assert response.status_code == 200, response.get_data(as_text=True)
    return json_of(response)


def archive_of(studio: Studio, batch: dict[str, Any]) -> zipfile.ZipFile:
    with studio.get(f"/api/tts/batch/{batch['batch_id']}/download") as response:
        assert response.status_code == 200, response.get_data(as_text=True)
        assert response.mimetype == "application/zip"
        return zipfile.ZipFile(io.BytesIO(response.get_data()))


def manifest_of(archive: zipfile.ZipFile) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(archive.read("manifest.json"))
    return manifest


def characters_of(studio: Studio) -> int:
    with studio.worker.new_uow() as uow:
        usage = uow.usage.get(studio.account.id, period_of(utc_now()))
    return usage.characters if usage else 0


def count_jobs(studio: Studio) -> int:
    with studio.worker.new_uow() as uow:
        return uow.session.query(Job).filter_by(user_id=studio.account.id).count()


def cancel_item(studio: Studio, item: dict[str, Any]) -> None:
    assert studio.post(f"/api/tts/job/{item['job_id']}/cancel").status_code == 200


def fail_item(studio: Studio, item: dict[str, Any]) -> None:
    with studio.worker.new_uow() as uow:
        job = uow.jobs.locked(UUID(item["job_id"]))
        assert job is not None
        fail_job(uow, job, EngineFailed("The engine choked."))
        uow.commit()


def test_a_batch_is_accepted_as_jobs_with_common_defaults(studio: Studio) -> None:
    batch = ordered(
        studio,
        {"text": "First.", "custom_id": "a", "title": "One", "voice_settings": {"speed": 2}},
        {"text": "Second.", "output_format": "wav"},
        defaults={**DEFAULTS, "output_format": "ogg", "voice_settings": {"pitch": 3}},
        title="Both",
    )
    assert (batch["title"], batch["status"], batch["items_total"]) == ("Both", "pending", 2)
    assert (batch["progress"], batch["eta_s"], batch["download_url"]) == (0, None, None)
    assert batch["counts"] == {
        "pending": 2, "processing": 0, "completed": 0, "failed": 0, "cancelled": 0, "rejected": 0,
    }  # fmt: skip
    first, second = batch["items"]
    assert (first["position"], first["custom_id"], first["title"]) == (0, "a", "One")
    assert (second["position"], second["custom_id"], second["title"]) == (1, None, None)
    job = json_of(studio.get(f"/api/tts/job/{first['job_id']}"))
    assert (job["batch_id"], job["output_format"]) == (batch["batch_id"], "ogg")
    assert job["voice_settings"].items() >= {"speed": 2, "pitch": 3}.items()
    assert json_of(studio.get(f"/api/tts/job/{second['job_id']}"))["output_format"] == "wav"


def test_items_that_cannot_be_spoken_are_rejected_one_by_one(studio: Studio) -> None:
    limit = studio.container.settings.max_text_characters
    batch = ordered(
        studio,
        {"text": ""},
        {"text": "Good.", "custom_id": "same"},
        {"text": "Hello.", "voice_id": str(NOBODY)},
        {"text": "a" * (limit + 1)},
        {"text": "Hello.", "custom_id": "same"},
        {"text": "Hello.", "custom_id": 7},
        {"text": "Hello.", "speed": 7},
        {"text": "Hello.", "voice_settings": {"speed": 7}},
        {"text": " \n "},
        {},
        {"text": "Good too.", "voice_model_id": str(ADA)},
    )
    accepted = [item for item in batch["items"] if item["job_id"]]
    rejected = [item for item in batch["items"] if not item["job_id"]]
    assert [item["position"] for item in accepted] == [1, 10]
    assert {item["status"] for item in rejected} == {"rejected"}
    assert all(item["error_message"] for item in rejected)
    codes = {item["position"]: item["error_code"] for item in rejected}
    assert (codes[0], codes[2], codes[3]) == (
        "invalid_request", "voice_not_found", "text_too_long",
    )  # fmt: skip
    assert codes[4] == "duplicate_custom_id"
    assert {codes[position] for position in (5, 6, 7, 9)} == {"invalid_request"}
    assert "voice_settings.speed" in batch["items"][7]["error_message"]
    assert batch["counts"]["rejected"] == 9
    assert count_jobs(studio) == 3, "a rejected item left a job behind"
    assert characters_of(studio) == len("Good.") + len("Good too.")


@pytest.mark.parametrize("bad", ["a\x00b", "a\ud800b", "\udfff"])
def test_an_item_that_cannot_be_stored_is_rejected_alone(studio: Studio, bad: str) -> None:
    batch = ordered(
        studio,
        {"text": "Good.", "custom_id": "a"},
        {"text": bad, "custom_id": "b"},
        {"text": "Hello.", "custom_id": bad},
        {"text": "Hello.", "voice_settings": {bad: 1}, bad: 1},
        {"script": [{"text": "Hello.", "voice_id": bad}], "title": "c"},
        {"text": "Good too."},
    )
    codes = [item["error_code"] for item in batch["items"]]
    unstorable = "invalid_text"
    assert codes == [None, unstorable, "invalid_request", unstorable, unstorable, None]
    assert "custom_id: Holds NUL" in batch["items"][2]["error_message"]
    assert [item["custom_id"] for item in batch["items"]] == ["a", "b", None, None, None, None]
    for body in ({"title": bad}, {"defaults": {**DEFAULTS, "title": bad}}, {bad: 1}):
        error = error_of(send(studio, {"text": "Good."}, **body), 422)
        assert error["error_code"] == "invalid_text"
    error = error_of(send(studio, {"text": bad}, {"text": bad}), 422)
    assert error["error_code"] == "no_valid_item"


def test_the_items_of_a_batch_share_the_reading_of_their_dictionary(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = [{"kind": "alias", "written": f"Nr {number}", "spoken": "x"} for number in range(1, 9)]
    made = json_of(studio.post("/api/dictionaries", json={"name": "Numbers", "rules": rules}))
    read: list[int] = []

    def parse(documents: list[dict[str, Any]]) -> Any:
        read.append(len(documents))
        return parse_rules(documents)

    monkeypatch.setattr(speech_planning, "parse_rules", parse)
    defaults = {**DEFAULTS, "dictionaries": [{"dictionary_id": made["id"]}]}
    batch = ordered(studio, *texts(20), defaults=defaults)
    assert batch["counts"]["pending"] == 20
    assert read == [8]


def test_a_batch_without_any_valid_item_is_refused(studio: Studio) -> None:
    refused = send(studio, {"text": ""}, {"text": "Hello.", "voice_id": str(NOBODY)})
    body = error_of(refused, 422)
    assert body["error_code"] == "no_valid_item"
    assert body["errors"].keys() == {"items.0", "items.1"}
    assert count_jobs(studio) == 0


@pytest.mark.parametrize(
    "body",
    [
        {"items": []},
        {"items": ["Hello."]},
        {"items": texts(1001)},
        {"items": texts(1), "defaults": {"text": "Hello."}},
        {"items": texts(1), "defaults": {"voice_settings": {"speed": 7}}},
        {"items": texts(1), "defaults": []},
        {"items": texts(1), "more": 1},
    ],
)
def test_what_is_no_batch_is_refused(studio: Studio, body: dict[str, Any]) -> None:
    error_of(studio.post("/api/tts/batch", json=body), 422)
    assert count_jobs(studio) == 0


def test_a_batch_may_be_larger_than_other_requests_up_to_a_limit(studio: Studio) -> None:
    text = "é" * 90_000  # six bytes each as it is sent
    too_long = send(studio, *({"text": text} for _ in range(12)))
    assert error_of(too_long, 422)["error_code"] == "batch_too_long"
    too_large = send(studio, *({"text": text} for _ in range(40)))
    assert error_of(too_large, 413)["error_code"] == "payload_too_large"


def test_the_quota_is_checked_for_the_whole(studio: Studio) -> None:
    with studio.worker.new_uow() as uow:
        user = uow.users.get(studio.account.id)
        assert user is not None
        user.monthly_character_quota = 25
        uow.commit()
    refused = send(studio, *texts(3))
    assert error_of(refused, 429)["error_code"] == "quota_exceeded"
    assert (count_jobs(studio), characters_of(studio)) == (0, 0)
    ordered(studio, *texts(2))


def test_a_finished_batch_is_one_archive_with_a_manifest(studio: Studio) -> None:
    batch = ordered(
        studio,
        {"text": "First.", "custom_id": "a", "title": "../One: a/b"},
        {"text": ""},
        {"text": "Second.", "custom_id": "b", "output_format": "wav"},
        {"text": "Third."},
        {"text": "Fourth."},
        title="Tales",
    )
    fail_item(studio, batch["items"][3])
    cancel_item(studio, batch["items"][4])
    assert shown(studio, batch)["download_url"] is None
    error_of(studio.get(f"/api/tts/batch/{batch['batch_id']}/download"), 409)
    finish(studio)
    done = shown(studio, batch)
    assert (done["status"], done["progress"], done["eta_s"]) == ("completed", 1, None)
    assert done["counts"] == {
        "pending": 0, "processing": 0, "completed": 2, "failed": 1, "cancelled": 1, "rejected": 1,
    }  # fmt: skip
    assert done["expires_at"]
    with archive_of(studio, batch) as archive:
        assert archive.testzip() is None
        assert [info.compress_type for info in archive.infolist()] == [zipfile.ZIP_STORED] * 4
        names = archive.namelist()
        assert names[:2] == ["0001-_One_ a_b.mp3", "0003-b.wav"]
        manifest = manifest_of(archive)
        table = list(csv.DictReader(io.StringIO(archive.read("manifest.csv").decode())))
        for item in (manifest["items"][0], manifest["items"][2]):
            data = archive.read(item["file"])
            assert len(data) == item["size_bytes"]
            layout = OutputSpec.by_name(item["format"]).resolve(22_050, 1)
            check_output(io.BytesIO(data), layout, item["duration_s"])
    assert (manifest["title"], manifest["batch_id"]) == ("Tales", batch["batch_id"])
    statuses = [item["status"] for item in manifest["items"]]
    assert statuses == ["completed", "rejected", "completed", "failed", "cancelled"]
    assert manifest["items"][3]["error_code"] == "engine_failed"
    assert [row["status"] for row in table] == statuses
    assert [row["custom_id"] for row in table] == ["a", "", "b", "", ""]


def test_items_are_shown_page_by_page(studio: Studio) -> None:
    batch = ordered(studio, *texts(5))
    first = shown(studio, batch, "?limit=2")
    assert [item["position"] for item in first["items"]] == [0, 1]
    second = shown(studio, batch, f"?limit=3&cursor={first['next_cursor']}")
    assert [item["position"] for item in second["items"]] == [2, 3, 4]
    assert second["next_cursor"] is None
    assert shown(studio, batch, "?cursor=900")["items"] == []


def test_items_do_not_flood_the_list_of_jobs(studio: Studio) -> None:
    batch = ordered(studio, *texts(3))
    single = json_of(studio.gateway.generate(studio.account))
    listed = json_of(studio.get("/api/tts/jobs"))["items"]
    assert [job["job_id"] for job in listed] == [single["job_id"]]
    of_batch = json_of(studio.get(f"/api/tts/jobs?batch_id={batch['batch_id']}"))["items"]
    assert {job["job_id"] for job in of_batch} == {item["job_id"] for item in batch["items"]}
    listed = json_of(studio.get("/api/tts/batches"))["items"]
    assert [found["batch_id"] for found in listed] == [batch["batch_id"]]
    assert listed[0]["counts"]["pending"] == 3
    assert json_of(studio.get("/api/tts/batches?status=failed"))["items"] == []


def test_a_batch_that_is_worked_on_says_how_far_it_is(studio: Studio) -> None:
    batch = ordered(studio, *texts(4))
    studio.work(most=2 * STEPS_OF_AN_ITEM)
    found = shown(studio, batch)
    assert found["status"] == "processing"
    assert 0 < found["progress"] < 1
    assert found["eta_s"] >= 0
    assert found["started_at"]


def test_cancelling_a_batch_cancels_its_open_items(studio: Studio) -> None:
    batch = ordered(studio, *texts(3))
    studio.work(most=1)
    for _ in range(2):  # twice is no error
        response = studio.post(f"/api/tts/batch/{batch['batch_id']}/cancel")
        assert response.status_code == 200
    found = json_of(response)
    assert found["status"] == "cancelled"
    assert found["counts"]["cancelled"] == 3
    assert characters_of(studio) == 0
    assert studio.ready_steps() == []
    assert studio.job(batch["batch_id"]).open_children == 0
    error_of(studio.get(f"/api/tts/batch/{batch['batch_id']}/download"), 409)


def test_cancelling_a_batch_keeps_what_is_finished(studio: Studio) -> None:
    batch = ordered(studio, *texts(2))
    while not any(item["output_url"] for item in shown(studio, batch)["items"]):
        studio.work(most=1)
    studio.post(f"/api/tts/batch/{batch['batch_id']}/cancel")
    found = shown(studio, batch)
    assert (found["counts"]["completed"], found["counts"]["cancelled"]) == (1, 1)
    (finished,) = (item for item in found["items"] if item["output_url"])
    with studio.get(finished["output_url"]) as response:
        assert response.status_code == 200


def test_a_finished_batch_cannot_be_cancelled(studio: Studio) -> None:
    batch = ordered(studio, *texts(1))
    finish(studio)
    refused = studio.post(f"/api/tts/batch/{batch['batch_id']}/cancel")
    assert error_of(refused, 409)["error_code"] == "job_ended"


def test_a_batch_whose_items_were_all_cancelled_ends_with_its_manifest(studio: Studio) -> None:
    batch = ordered(studio, *texts(2))
    for item in batch["items"]:
        cancel_item(studio, item)
    finish(studio)
    assert shown(studio, batch)["status"] == "completed"
    with archive_of(studio, batch) as archive:
        assert archive.namelist() == ["manifest.json", "manifest.csv"]
        assert {item["status"] for item in manifest_of(archive)["items"]} == {"cancelled"}


def test_outputs_that_are_gone_before_the_archive_is_made_are_expired(studio: Studio) -> None:
    batch = ordered(studio, *texts(3))
    jobs = [item["job_id"] for item in batch["items"]]
    while any(studio.job(job_id).state != JobState.COMPLETED for job_id in jobs):
        studio.work(most=1)
    studio.gateway.change_job(jobs[0], output_key=None)
    studio.container.store.delete(str(studio.job(jobs[1]).output_key))
    finish(studio)
    with archive_of(studio, batch) as archive:
        items = manifest_of(archive)["items"]
        assert [item["status"] for item in items] == ["expired", "expired", "completed"]
        assert len(archive.namelist()) == 3


def test_somebody_elses_batch_is_not_found(studio: Studio) -> None:
    batch = ordered(studio, *texts(1))
    other = studio.with_new_account()
    path = f"/api/tts/batch/{batch['batch_id']}"
    for answer in (other.get(path), other.get(f"{path}/download"), other.post(f"{path}/cancel")):
        assert error_of(answer, 404)["error_code"] == "batch_not_found"
    assert shown(studio, batch)["status"] == "pending"
    assert json_of(other.get(f"/api/tts/jobs?batch_id={batch['batch_id']}"))["items"] == []


def test_items_that_end_while_the_batch_is_cancelled_are_counted_once(studio: Studio) -> None:
    batch = ordered(studio, *texts(30))
    batch_id = UUID(batch["batch_id"])
    faults: list[BaseException] = []

    def run(work: Any, *arguments: Any) -> None:
        try:
            work(*arguments)
        except BaseException as error:
            faults.append(error)

    cancel = (cancel_batch, studio.worker.new_uow, studio.account.id, batch_id)
    threads = [
        threading.Thread(target=run, args=args) for args in ((finish, studio), cancel, cancel)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not faults
    assert studio.job(batch["batch_id"]).open_children == 0
    with studio.worker.new_uow() as uow:
        (step,) = uow.session.query(Step).filter_by(job_id=batch_id)
    assert step.state == StepState.CANCELLED
