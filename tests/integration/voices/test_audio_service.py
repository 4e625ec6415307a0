"""The audio service: files and samples in, measurements, pictures and files out, errors by item."""

from __future__ import annotations

import io
import json
import struct
import wave
import zipfile
from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import TestResponse, encode_multipart

from mynah.audio.wav import encode_wav
from mynah.audio.waveform import Waveform
from mynah.contracts.states import JobState, StepState
from mynah.db.clock import utc_now
from mynah.db.ids import new_id
from mynah.db.models import Job, Step
from mynah.errors import DatabaseUnavailable, StorageUnavailable
from services.api.use_cases import audio
from services.audio_proc import audio_items
from services.audio_proc.retention import expire
from tests.integration.api.gateway import error_of
from tests.integration.voices.studio import Studio, json_of
from tests.unit.audio.signals import av_file, decode_all

Given = list[tuple[bytes, str]]


def ask(studio: Studio, operation: str, files: Given = [], **form: Any) -> TestResponse:  # noqa: B006
    """Ask for work on files; a list in the form is a field given several times."""
    fields: MultiDict[str, Any] = MultiDict()
    for data, name in files:
        fields.add("files", FileStorage(io.BytesIO(data), name))
    for key, values in form.items():
        for value in values if isinstance(values, list) else [values]:
            fields.add(key, str(value))
    boundary, body = encode_multipart(fields)
    return studio.post(
        f"/api/audio/{operation}",
        data=body,
        content_type=f'multipart/form-data; boundary="{boundary}"',
    )


def done(studio: Studio, operation: str, files: Given = [], **form: Any) -> dict[str, Any]:  # noqa: B006
    """The job after the workers did it."""
    response = ask(studio, operation, files, **form)
    assert response.status_code == 202, response.get_data(as_text=True)
    studio.work(most=200)
    return job_of(studio, json_of(response)["job_id"])


def job_of(studio: Studio, job_id: str) -> dict[str, Any]:
    return json_of(studio.get(f"/api/audio/job/{job_id}"))


def fetched(studio: Studio, file: dict[str, Any]) -> bytes:
    with studio.get(file["url"]) as response:
        assert response.status_code == 200
        assert response.mimetype == file["content_type"]
        data = response.get_data()
    assert len(data) == file["size_bytes"]
    return data


def file_of(item: dict[str, Any], ending: str) -> dict[str, Any]:
    found: dict[str, Any] = next(file for file in item["files"] if file["name"].endswith(ending))
    return found


def test_an_analysis_measures_draws_and_judges(studio: Studio, recording: bytes) -> None:
    asked = json_of(ask(studio, "analyze", [(recording, "ann.wav")], width=400, height=100))
    assert (asked["status"], asked["progress"], asked["items_total"]) == ("pending", 0.0, 1)
    assert asked["items"][0]["status"] == "pending"
    studio.work()
    job = job_of(studio, asked["job_id"])
    assert (job["status"], job["progress"], job["items_completed"]) == ("completed", 1.0, 1)
    (item,) = job["items"]
    result = item["result"]
    assert (item["name"], item["status"], item["sample_id"]) == ("ann.wav", "completed", None)
    assert (result["container"], result["codec"]) == ("wav", "pcm_s16le")
    assert (result["sample_rate"], result["channels"]) == (22_050, 1)
    assert result["speech_share"] > 0.8
    assert result["suitability"]["cloning"]["is_usable"]
    assert result["suitability"]["training"]["grade"] in {"excellent", "good", "fair"}
    assert result["bands"]
    assert (result["spectrogram"]["lowest_hz"], result["spectrogram"]["highest_hz"]) == (0, 11025)
    assert sorted(file["name"] for file in item["files"]) == [
        "0.peaks.json", "0.spectrogram.png", "0.waveform.png", "0.waveform.svg",
    ]  # fmt: skip
    for name in ("waveform.png", "spectrogram.png"):
        picture = fetched(studio, file_of(item, name))
        assert struct.unpack(">II", picture[16:24]) == (400, 100)
    assert fetched(studio, file_of(item, "waveform.svg")).startswith(b"<svg")
    peaks = json.loads(fetched(studio, file_of(item, "peaks.json")))
    assert peaks["length"] * peaks["samples_per_pixel"] == pytest.approx(
        result["duration_s"] * 22_050, abs=peaks["samples_per_pixel"]
    )


def test_an_enhancement_says_what_it_did(studio: Studio, speech: Waveform) -> None:
    pause = np.zeros(22_050, np.float32)
    noise = 0.01 * np.random.default_rng(0).standard_normal(speech.frames + 44_100)
    samples = np.concatenate([pause, speech.samples, pause]) + noise.astype(np.float32)
    data = encode_wav(Waveform(samples, 22_050))
    job = done(studio, "enhance", [(data, "ann.wav")], output_format="mp3", loudness_lufs=-20)
    (item,) = job["items"]
    result = item["result"]
    assert result["is_noise_reduced"] is True
    assert result["after"]["snr_db"] > result["before"]["snr_db"] + 6
    assert result["after"]["loudness_lufs"] == pytest.approx(-20, abs=1)
    assert result["output"]["format"] == "mp3"
    decoded = decode_all(fetched(studio, file_of(item, "enhanced.mp3")))
    assert decoded.duration_s == pytest.approx(result["duration_s"], abs=0.1)


@pytest.mark.parametrize("fmt", ["wav", "mp3", "ogg"])
def test_a_conversion_gives_the_format_rate_and_channels(
    studio: Studio, recording: bytes, speech: Waveform, fmt: str
) -> None:
    job = done(studio, "convert", [(recording, "ann.wav")], output_format=fmt, channels=2)
    (item,) = job["items"]
    output = item["result"]["output"]
    assert (output["format"], output["channels"]) == (fmt, 2)
    decoded = decode_all(fetched(studio, file_of(item, f"converted.{fmt}")))
    assert decoded.channels == 2
    assert decoded.duration_s == pytest.approx(speech.duration_s, abs=0.1)


def test_a_file_is_sent_in_ranges_under_the_name_of_its_input(
    studio: Studio, recording: bytes
) -> None:
    job = done(studio, "convert", [(recording, "Märchen eins.wav")], output_format="wav")
    file = file_of(job["items"][0], "converted.wav")
    whole = fetched(studio, file)
    headers = {**studio.account.auth, "Range": "bytes=10-19"}
    with studio.client.get(file["url"], headers=headers) as response:
        assert (response.status_code, response.get_data()) == (206, whole[10:20])
        disposition = response.headers["Content-Disposition"]
    assert "M%C3%A4rchen%20eins.converted.wav" in disposition


def test_a_batch_takes_files_and_samples_and_gives_one_zip(
    studio: Studio, recording: bytes
) -> None:
    sample = studio.upload(recording, "sample.wav", name="Ann reads")
    other = av_file(decode_all(recording), "ipod", "aac")
    job = done(
        studio,
        "convert",
        [(recording, "one.wav"), (other, "two.m4a")],
        output_format="mp3",
        bitrate_kbps=64,
        sample_ids=[sample["id"]],
    )
    assert (job["status"], job["items_completed"], job["items_failed"]) == ("completed", 3, 0)
    assert [item["name"] for item in job["items"]] == ["one.wav", "two.m4a", "Ann reads"]
    assert job["items"][2]["sample_id"] == sample["id"]
    with zipfile.ZipFile(io.BytesIO(fetched(studio, job["bundle"]))) as archive:
        assert archive.testzip() is None
        names = {f"{number}.converted.mp3" for number in range(3)}
        assert set(archive.namelist()) == {"manifest.json", *names}
        manifest = json.loads(archive.read("manifest.json"))
        first = archive.read("0.converted.mp3")
    assert first == fetched(studio, job["items"][0]["files"][0])
    assert [item["index"] for item in manifest["items"]] == [0, 1, 2]
    assert manifest["items"][1]["result"]["container"] == "mov"


def lying_wav(recording: bytes) -> bytes:
    """A WAV whose header claims two gigabytes."""
    return (
        recording[:4] + b"\xff\xff\xff\x7f" + recording[8:40] + b"\xf0\xff\xff\x7f" + recording[44:]
    )


def endless_m4a(speech: Waveform) -> bytes:
    """An M4A whose header claims to last for years."""
    data = bytearray(av_file(speech, "ipod", "aac"))
    for atom, offset in ((b"mvhd", 20), (b"mdhd", 20), (b"tkhd", 24)):
        place = data.index(atom)
        data[place + offset : place + offset + 4] = b"\x7f\xff\xff\xff"
    return bytes(data)


def many_channels() -> bytes:
    output = io.BytesIO()
    with wave.open(output, "wb") as file:
        file.setnchannels(26)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(26 * 2 * 16_000))
    return output.getvalue()


def test_bad_files_fail_alone_and_say_why(
    studio: Studio, recording: bytes, speech: Waveform
) -> None:
    silent = encode_wav(Waveform(np.zeros(32_000, np.float32), 16_000))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.wav", bytes(10_000_000))
    files = [
        (b"Once upon a time there was a text file." * 50, "story.mp3"),
        (recording[: len(recording) // 2], "truncated.wav"),
        (recording, "good.wav"),
        (lying_wav(recording), "lying.wav"),
        (endless_m4a(speech), "endless.m4a"),
        (many_channels(), "many.wav"),
        (silent, "silent.wav"),
        (bomb.getvalue(), "bomb.zip"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "header.wav"),
    ]
    job = done(studio, "analyze", files)
    assert (job["status"], job["progress"]) == ("completed", 1.0)
    found = {item["name"]: item for item in job["items"]}
    codes = {name: item["error_code"] for name, item in found.items() if item["error_code"]}
    assert codes == {
        "story.mp3": "not_audio",
        "many.wav": "unsupported_format",
        "bomb.zip": "not_audio",
        "header.wav": "corrupt_audio",
    }
    assert (job["items_failed"], job["items_completed"]) == (4, 5)
    for name in ("good.wav", "lying.wav", "endless.m4a"):
        assert found[name]["result"]["duration_s"] == pytest.approx(speech.duration_s, abs=0.15)
    half = found["truncated.wav"]["result"]["duration_s"]
    assert half == pytest.approx(speech.duration_s / 2, abs=0.1)
    for verdict in found["silent.wav"]["result"]["suitability"].values():
        assert not verdict["is_usable"]
    assert all(item["error_message"] for item in job["items"] if item["error_code"])


@pytest.mark.parametrize("operation", ["analyze", "enhance", "convert"])
def test_a_single_bad_file_fails_its_job_with_the_reason(studio: Studio, operation: str) -> None:
    form = {"output_format": "mp3"} if operation == "convert" else {}
    job = done(studio, operation, [(b"not audio at all, really" * 9, "story.mp3")], **form)
    assert (job["status"], job["error_code"], job["items_failed"]) == ("failed", "not_audio", 1)
    assert (job["items"][0]["status"], job["items"][0]["error_code"]) == ("failed", "not_audio")


def test_what_cannot_be_is_refused_at_the_door_and_leaves_nothing(
    studio: Studio, recording: bytes
) -> None:
    stranger = studio.with_new_account()
    foreign = stranger.upload(recording)["id"]
    good = [(recording, "ann.wav")]
    cases: list[tuple[TestResponse, int, str]] = [
        (ask(studio, "analyze"), 422, "no_input"),
        (ask(studio, "analyze", [*good, (b"", "empty.wav")]), 422, "empty_audio"),
        (ask(studio, "analyze", good, sample_ids=[new_id()]), 404, "sample_not_found"),
        (ask(studio, "analyze", sample_ids=[foreign]), 404, "sample_not_found"),
        (ask(studio, "analyze", sample_ids=["x"]), 422, "invalid_request"),
        (ask(studio, "analyze", good, width=1_000_000_000), 422, "invalid_request"),
        (ask(studio, "analyze", good, colour="red"), 422, "invalid_request"),
        (ask(studio, "convert", good), 422, "invalid_request"),
        (ask(studio, "convert", good, output_format="exe"), 422, "invalid_request"),
        (ask(studio, "convert", good, output_format="mp3", bitrate_kbps=97), 422,
         "unsupported_bitrate"),
        (ask(studio, "convert", good, output_format="wav", sample_rate=10**9), 422,
         "invalid_request"),
        (ask(studio, "enhance", good, denoise_db="nan"), 422, "invalid_request"),
        (ask(studio, "enhance", good, loudness_lufs=0), 422, "invalid_request"),
        (ask(studio, "analyze", [(b"x", "a.wav")] * 101), 422, "too_many_files"),
        (ask(studio, "analyze", sample_ids=[new_id() for _ in range(101)]), 422,
         "too_many_files"),
        (ask(studio, "analyze", [(b"x", "a.wav")] * 1000), 413, "payload_too_large"),
    ]  # fmt: skip
    for response, status, code in cases:
        assert error_of(response, status)["error_code"] == code
    assert studio.objects(str(studio.account.id)) == set()
    assert json_of(studio.get("/api/audio/jobs"))["items"] == []


def test_nothing_stays_behind_when_a_job_cannot_be_recorded(
    studio: Studio, recording: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[str] = []
    built = audio.audio_input

    def fail(*_: object, **__: object) -> None:
        raise DatabaseUnavailable

    def remember(job_id: UUID, number: int) -> str:
        keys.append(built(job_id, number))
        return keys[-1]

    monkeypatch.setattr(audio, "audio_input", remember)
    monkeypatch.setattr(audio, "submit_job", fail)
    error_of(ask(studio, "analyze", [(recording, "a.wav"), (recording, "b.wav")]), 503)
    assert len(keys) == 2
    assert not [key for key in keys if studio.objects(key)]


def test_jobs_are_listed_and_belong_to_their_owner(studio: Studio, recording: bytes) -> None:
    failed = done(studio, "analyze", [(b"not audio" * 9, "a.mp3")])["job_id"]
    job = done(studio, "analyze", [(recording, "b.wav")], pictures="false")
    assert [file["name"] for file in job["items"][0]["files"]] == ["0.peaks.json"]
    listed = json_of(studio.get("/api/audio/jobs"))["items"]
    assert [found["job_id"] for found in listed] == [job["job_id"], failed]
    assert "items" not in listed[0]
    only = json_of(studio.get("/api/audio/jobs?status=failed"))["items"]
    assert [found["job_id"] for found in only] == [failed]
    stranger = studio.with_new_account()
    for path in (f"/api/audio/job/{job['job_id']}", job["items"][0]["files"][0]["url"]):
        error_of(stranger.get(path), 404)
    error_of(stranger.post(f"/api/audio/job/{job['job_id']}/cancel"), 404)
    error_of(studio.get(f"/api/audio/job/{job['job_id']}/files/1.peaks.json"), 404)
    error_of(studio.get(f"/api/tts/job/{job['job_id']}"), 404)


def test_a_cancelled_job_keeps_what_is_finished(studio: Studio, recording: bytes) -> None:
    files = [(recording, "a.wav"), (recording, "b.wav"), (recording, "c.wav")]
    job_id = json_of(ask(studio, "convert", files, output_format="wav"))["job_id"]
    studio.work(most=1)
    assert 0 < job_of(studio, job_id)["progress"] < 1
    cancelled = json_of(studio.post(f"/api/audio/job/{job_id}/cancel"))
    assert cancelled["status"] == "cancelled"
    assert [item["status"] for item in cancelled["items"]] == [
        "completed",
        "cancelled",
        "cancelled",
    ]
    assert fetched(studio, cancelled["items"][0]["files"][0])
    assert studio.ready_steps() == []
    assert json_of(studio.post(f"/api/audio/job/{job_id}/cancel"))["status"] == "cancelled"


def test_a_deleted_sample_fails_its_item_only(studio: Studio, recording: bytes) -> None:
    sample = studio.upload(recording)
    studio.work()
    files = [(recording, "a.wav")]
    response = ask(studio, "convert", files, output_format="wav", sample_ids=[sample["id"]])
    assert studio.delete(f"/api/samples/{sample['id']}").status_code == 204
    studio.work()
    job = job_of(studio, json_of(response)["job_id"])
    assert [item["error_code"] for item in job["items"]] == [None, "sample_not_found"]
    assert job["status"] == "completed"


def test_a_file_that_kills_workers_does_not_end_the_batch(studio: Studio, recording: bytes) -> None:
    files = [(recording, "killer.wav"), (recording, "good.wav")]
    response = ask(studio, "convert", files, output_format="wav")
    (first, *_) = studio.ready_steps()
    with studio.worker.new_uow() as uow:  # as after so many workers that never came back
        uow.session.get_one(Step, first.step_id).attempts = studio.worker.settings.max_attempts - 1
        uow.commit()
    studio.work()
    job = job_of(studio, json_of(response)["job_id"])
    assert [item["error_code"] for item in job["items"]] == ["worker_lost", None]
    assert job["status"] == "completed"


def test_a_store_that_is_away_is_waited_for(
    studio: Studio, recording: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    response = ask(studio, "convert", [(recording, "a.wav")] * 2, output_format="wav")
    (first, *_) = studio.ready_steps()

    def away(*_: object, **__: object) -> None:
        raise StorageUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(audio_items, "decode_recording", away)
        studio.worker.runner.run(first, studio.works[studio.task_of(first)])
    with studio.worker.new_uow() as uow:
        step = uow.session.get_one(Step, first.step_id)
        assert (step.state, step.attempts) == (StepState.READY, 0)
    assert job_of(studio, json_of(response)["job_id"])["items_failed"] == 0


def test_a_bundle_that_would_be_too_large_is_not_made(
    studio: Studio, recording: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = studio.worker.settings.model_copy(update={"max_bundle_bytes": 1000})
    monkeypatch.setattr(type(studio.worker), "settings", small, raising=False)
    job = done(studio, "convert", [(recording, "a.wav")] * 2, output_format="wav")
    assert (job["status"], job["bundle"], job["bundle_error"]) == (
        "completed", None, "bundle_too_large",
    )  # fmt: skip


def test_inputs_go_after_the_job_and_outputs_after_their_retention(
    studio: Studio, recording: bytes
) -> None:
    job = done(studio, "convert", [(recording, "a.wav"), (b"x" * 99, "b.wav")], output_format="wav")
    failed = done(studio, "convert", [(b"x" * 99, "c.wav")], output_format="wav")
    file = job["items"][0]["files"][0]
    assert studio.objects(f"work/{job['job_id']}/input/")
    with studio.worker.new_uow() as uow:
        for job_id in (job["job_id"], failed["job_id"]):
            row = uow.session.get_one(Job, UUID(job_id))
            assert row.expires_at is not None
            row.ended_at = row.expires_at = utc_now() - timedelta(days=2)
        uow.commit()
    expire(studio.worker)
    for job_id in (job["job_id"], failed["job_id"]):
        assert studio.objects(job_id) == set()
        assert studio.job(job_id).output_key is None
    assert error_of(studio.get(file["url"]), 410)["error_code"] == "output_expired"
    assert studio.job(job["job_id"]).state == JobState.COMPLETED
