"""Batches: many texts in one request."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

import pytest

from mynah.contracts.states import StepState
from mynah.db.models import Step
from mynah.text.pronunciation import parse_rules
from services.api.use_cases import speech_planning
from services.api.use_cases.batches import cancel_batch
from tests.integration.api.gateway import ADA, NOBODY, error_of
from tests.integration.live.batches import (
    DEFAULTS,
    STEPS_OF_AN_ITEM,
    characters_of,
    count_jobs,
    ordered,
    send,
    shown,
    texts,
)
from tests.integration.live.listening import finish
from tests.integration.voices.studio import Studio, json_of


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


def test_what_rules_have_read_counts_to_the_length_of_a_batch(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = [{"kind": "alias", "written": "a", "spoken": "and so on " * 19 + "again"}]
    made = json_of(studio.post("/api/dictionaries", json={"name": "Long", "rules": rules}))
    small = studio.container.settings.model_copy(update={"max_batch_characters": 1000})
    monkeypatch.setattr(type(studio.container), "settings", small, raising=False)
    defaults = {**DEFAULTS, "dictionaries": [{"dictionary_id": made["id"]}]}
    error = error_of(send(studio, *[{"text": "a b."}] * 6, defaults=defaults), 422)
    assert error["error_code"] == "batch_too_long"
    ordered(studio, *[{"text": "a b."}] * 4, defaults=defaults)
    assert characters_of(studio) == 4 * (len("a b.") + len(rules[0]["spoken"]) - 1)


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
