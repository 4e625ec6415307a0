"""Uploaded recordings: kept untouched, measured by content, removed without a trace."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
import pytest

from mynah.audio.wav import encode_wav
from mynah.audio.waveform import Waveform
from mynah.contracts.states import JobState
from mynah.db.ids import new_id
from mynah.errors import DatabaseUnavailable
from services.api.use_cases import samples
from tests.integration.api.gateway import error_of
from tests.integration.voices.studio import Studio, json_of, multipart
from tests.unit.audio.signals import av_file

CONTAINERS = {
    "wav": ("wav", "pcm_s16le", "wav"),
    "mp3": ("mp3", "libmp3lame", "mp3"),
    "m4a": ("ipod", "aac", "mov"),
    "flac": ("flac", "flac", "flac"),
    "ogg": ("ogg", "libopus", "ogg"),
    "webm": ("webm", "libopus", "matroska"),
}


def analyzed(studio: Studio, data: bytes, filename: str = "recording.wav") -> dict[str, Any]:
    sample = studio.upload(data, filename)
    studio.work()
    return json_of(studio.get(f"/api/samples/{sample['id']}"))


@pytest.mark.parametrize("kind", CONTAINERS)
def test_every_container_is_told_by_its_content_and_kept_as_it_came(
    studio: Studio, speech: Waveform, kind: str
) -> None:
    container, codec, found = CONTAINERS[kind]
    at_48k = Waveform(np.repeat(speech.samples, 2), 48_000) if codec == "libopus" else speech
    data = av_file(at_48k, container, codec)
    sample = analyzed(studio, data, "misleading.txt")
    assert sample["state"] == "analyzed"
    assert sample["measurements"]["container"] == found
    assert sample["measurements"]["duration_s"] == pytest.approx(at_48k.duration_s, abs=0.15)
    assert sample["verdict"]["is_usable"] is True
    assert sample["sha256"] == hashlib.sha256(data).hexdigest()
    with studio.get(sample["audio_url"]) as response:
        assert response.get_data() == data
    assert studio.objects(sample["id"]) == {f"uploads/{studio.account.id}/{sample['id']}"}


def test_a_new_sample_names_its_job_and_its_state(studio: Studio, recording: bytes) -> None:
    sample = studio.upload(recording, "ann.wav", name="Ann reads")
    assert (sample["name"], sample["filename"]) == ("Ann reads", "ann.wav")
    assert (sample["state"], sample["size_bytes"]) == ("uploaded", len(recording))
    studio.work()
    assert studio.job(sample["job_id"]).state == JobState.COMPLETED


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"Once upon a time there was a text file." * 50, "not_audio"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "corrupt_audio"),
        (b"%PDF-1.7 ....", "not_audio"),
        (b"#EXTM3U\nfile:///etc/passwd\n", "not_audio"),
    ],
)
def test_what_is_not_audio_is_rejected_with_the_reason(
    studio: Studio, data: bytes, code: str
) -> None:
    sample = analyzed(studio, data, "story.mp3")
    assert (sample["state"], sample["error_code"]) == ("rejected", code)
    assert sample["error_message"]
    assert sample["measurements"] is None


def test_silence_is_measured_and_judged_unusable(studio: Studio) -> None:
    silence = encode_wav(Waveform(np.zeros(5 * 16_000, np.float32), 16_000))
    sample = analyzed(studio, silence)
    assert (sample["state"], sample["verdict"]["is_usable"]) == ("analyzed", False)
    assert "silent" in {reason["code"] for reason in sample["verdict"]["reasons"]}


def test_an_empty_file_is_refused_and_leaves_nothing(studio: Studio) -> None:
    fields = {"file": (io.BytesIO(b""), "empty.wav")}
    response = studio.post("/api/samples", **multipart(fields))
    assert error_of(response, 422)["error_code"] == "empty_audio"
    assert studio.objects(str(studio.account.id)) == set()


def test_a_recording_beyond_the_limit_is_rejected_when_decoded(
    studio: Studio, building: Studio
) -> None:
    minutes = building.container.settings.max_recording_s / 60 + 1
    long = Waveform(np.zeros(int(minutes * 60 * 1000), np.float32), 1000)
    sample = analyzed(studio, encode_wav(long))
    assert (sample["state"], sample["error_code"]) == ("rejected", "too_long")


def test_the_original_is_sent_in_ranges(studio: Studio, recording: bytes) -> None:
    url = studio.upload(recording)["audio_url"]
    headers = {**studio.account.auth, "Range": "bytes=10-19"}
    with studio.client.get(url, headers=headers) as response:
        assert (response.status_code, response.get_data()) == (206, recording[10:20])
        assert response.content_type == "application/octet-stream"


def test_nothing_stays_behind_when_a_sample_cannot_be_recorded(
    studio: Studio, recording: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(samples, "submit_job", fail)
    fields = {"file": (io.BytesIO(recording), "ann.wav")}
    error_of(studio.post("/api/samples", **multipart(fields)), 503)
    assert studio.objects(str(studio.account.id)) == set()
    assert json_of(studio.get("/api/samples"))["items"] == []


def test_a_deleted_sample_is_gone_and_its_job_is_cancelled(
    studio: Studio, recording: bytes
) -> None:
    sample = studio.upload(recording)
    assert studio.delete(f"/api/samples/{sample['id']}").status_code == 204
    error_of(studio.get(f"/api/samples/{sample['id']}"), 404)
    error_of(studio.get(sample["audio_url"]), 404)
    error_of(studio.delete(f"/api/samples/{sample['id']}"), 404)
    assert studio.objects(sample["id"]) == set()
    assert studio.ready_steps() == []


def test_samples_are_listed_by_state_newest_first(studio: Studio, recording: bytes) -> None:
    ids = [studio.upload(recording)["id"] for _ in range(2)]
    rejected = analyzed(studio, b"not audio at all, really")["id"]
    new = studio.upload(recording)["id"]

    def listed(query: str) -> list[str]:
        return [item["id"] for item in json_of(studio.get(f"/api/samples{query}"))["items"]]

    assert listed("") == [new, rejected, *reversed(ids)]
    assert listed("?state=rejected") == [rejected]
    assert listed("?state=analyzed") == list(reversed(ids))
    page = json_of(studio.get("/api/samples?limit=3"))
    assert listed(f"?cursor={page['next_cursor']}") == [ids[0]]


def test_another_users_sample_does_not_exist(studio: Studio, recording: bytes) -> None:
    sample = studio.upload(recording)
    stranger = studio.with_new_account()
    for path in (f"/api/samples/{sample['id']}", sample["audio_url"]):
        error_of(stranger.get(path), 404)
    error_of(stranger.delete(f"/api/samples/{sample['id']}"), 404)
    error_of(stranger.get(f"/api/samples/{new_id()}"), 404)
    assert studio.objects(sample["id"])
