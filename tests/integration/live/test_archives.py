"""The archive of a batch: every item's speech in one zip with a manifest."""

from __future__ import annotations

import csv
import io
import zipfile

import pytest

from mynah.audio.finished import check_output
from mynah.audio.formats import OutputSpec
from mynah.contracts.states import JobState
from tests.integration.api.gateway import error_of
from tests.integration.live.batches import (
    archive_of,
    cancel_item,
    characters_of,
    count_jobs,
    fail_item,
    manifest_of,
    ordered,
    send,
    shown,
    texts,
)
from tests.integration.live.listening import finish
from tests.integration.voices.studio import Studio


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


def test_items_for_which_an_archive_has_no_room_are_left_out_and_named(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = ordered(
        studio,
        {"text": "First.", "output_format": "mp3"},
        {"text": "A long one, in a large format.", "output_format": "wav"},
        {"text": "Last.", "output_format": "mp3"},
    )
    small = studio.worker.settings.model_copy(update={"max_archive_bytes": 50_000})
    monkeypatch.setattr(type(studio.worker), "settings", small, raising=False)
    finish(studio)
    done = shown(studio, batch)
    assert (done["status"], done["left_out"]) == ("completed", 1)
    assert done["output_size_bytes"] < 60_000
    with archive_of(studio, batch) as archive:
        names = archive.namelist()
        items = manifest_of(archive)["items"]
    assert [item["error_code"] for item in items] == [None, "archive_full", None]
    assert [item["status"] for item in items] == ["completed"] * 3
    assert [item["file"] for item in items] == [names[0], None, names[1]]
    path = f"/api/tts/job/{items[1]['job_id']}/download"
    assert studio.get(path).status_code == 200, "what was left out is there by itself"


def test_a_batch_whose_archive_would_be_far_too_large_is_refused(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = studio.container.settings.model_copy(update={"max_archive_bytes": 100_000})
    monkeypatch.setattr(type(studio.container), "settings", small, raising=False)
    item = {"text": "Twelve seconds, or so. " * 8}
    before = count_jobs(studio)
    error = error_of(send(studio, {**item, "output_format": "wav"}), 422)
    assert error["error_code"] == "archive_too_large"
    assert (count_jobs(studio), characters_of(studio)) == (before, 0)
    ordered(studio, {**item, "output_format": "mp3"})
