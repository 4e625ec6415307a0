"""From recordings to a voice: what is asked, what is made, where it lies, how it ends early."""

from __future__ import annotations

import io
from typing import Any
from uuid import uuid4

import av
import numpy as np
import pytest

from mynah.audio.npy import load_npy
from mynah.audio.wav import encode_wav
from mynah.audio.waveform import Waveform
from mynah.contracts import object_keys
from mynah.contracts.states import JobState
from mynah.db.ids import new_id
from services.audio_proc import reference_audio
from tests.integration.api.gateway import ADA, CONSENT, error_of
from tests.integration.voices.studio import Studio, json_of


def mp3_facts(data: bytes) -> tuple[str, int]:
    """Codec and bitrate in kbit/s as FFmpeg sees them."""
    with av.open(io.BytesIO(data), format="mp3") as file:
        context = file.streams.audio[0].codec_context
        return context.name.removesuffix("float"), context.bit_rate // 1000


def test_a_voice_is_made_with_every_object_where_it_belongs(
    studio: Studio, recording: bytes, speech: Waveform
) -> None:
    voice = studio.cloned(recording, description="reads slowly")
    row = studio.voice(voice["id"])
    place = (row.id, "en-us", False)
    keys = {
        "reference_audio": object_keys.reference_audio(*place),
        "engine_profile": object_keys.engine_profile(*place, "espeak"),
        "recorded": object_keys.recorded(*place),
        "spoken_sample": object_keys.spoken_sample(*place),
    }
    assert row.objects == keys
    assert studio.objects(voice["id"]) == set(keys.values())
    reference = load_npy(studio.container.store.get(keys["reference_audio"]))
    assert (reference.dtype, reference.ndim) == (np.float32, 1)
    assert voice["facts"]["reference_sample_rate"] == speech.sample_rate
    # nothing lossy between the recording and the reference: the very same samples, trimmed
    uploaded = Waveform.from_int16(speech.to_int16(), speech.sample_rate).samples
    assert reference.tobytes() in uploaded.tobytes()
    with studio.get(voice["recording_url"]) as recorded:
        assert mp3_facts(recorded.get_data()) == ("mp3", 160)
    with studio.get(voice["sample_url"]) as sample:
        assert mp3_facts(sample.get_data()) == ("mp3", 96)
    assert (voice["description"], voice["language"]) == ("reads slowly", "en-us")


def test_the_job_tells_its_progress_step_by_step(studio: Studio, recording: bytes) -> None:
    voice = studio.clone(studio.upload(recording)["id"])
    assert voice["state"] == "cloning"
    seen = []
    for _ in range(5):
        job = json_of(studio.get(f"/api/voices/job/{voice['job_id']}"))
        seen.append((job["status"], job["step"], job["progress"]))
        studio.work(most=1)
    assert seen == [
        ("pending", "preparing the recordings", 0),
        ("pending", "preparing the recordings", 0),  # the sample's own analysis came first
        ("processing", "building the profile", pytest.approx(1 / 3, abs=0.01)),
        ("processing", "publishing the voice", pytest.approx(2 / 3, abs=0.01)),
        ("completed", None, 1),
    ]
    assert studio.job(voice["job_id"]).has_work_files


def test_kids_voices_lie_apart(studio: Studio, recording: bytes) -> None:
    voice = studio.cloned(recording, kids=True)
    assert voice["kids"] is True
    keys = studio.objects(voice["id"])
    assert len(keys) == 4
    assert all(key.startswith("voices/en-us/kids/") for key in keys)


def test_consent_is_kept_and_shown_to_the_owner(studio: Studio, recording: bytes) -> None:
    voice = studio.clone(studio.upload(recording)["id"])
    assert voice["consent"].items() >= CONSENT.items()
    assert voice["consent"]["recorded_by"] == str(studio.account.id)
    assert voice["consent"]["at"] == voice["created_at"]
    assert json_of(studio.get(f"/api/voices/{ADA}"))["consent"] is None


def test_without_consent_there_is_no_voice(studio: Studio, recording: bytes) -> None:
    order = {"name": "Ann", "language": "en", "sample_ids": [studio.upload(recording)["id"]]}
    for consent in ({}, {"consent": None}):
        response = studio.post("/api/voices", json={**order, **consent})
        assert error_of(response, 422)["error_code"] == "consent_required"
    short = {"statement": "yes", "given_by": "Ann"}
    response = studio.post("/api/voices", json={**order, "consent": short})
    assert error_of(response, 422)["error_code"] == "invalid_request"
    assert json_of(studio.get("/api/voices?mine=true"))["items"] == []


def ordered(studio: Studio, *sample_ids: object, **body: Any) -> Any:
    order = {"name": "Ann", "language": "en", "consent": CONSENT, **body}
    ids = [str(sample_id) for sample_id in sample_ids]
    return studio.post("/api/voices", json={**order, "sample_ids": ids})


def test_a_sample_that_is_not_ones_own_does_not_exist(studio: Studio, recording: bytes) -> None:
    foreign = studio.with_new_account().upload(recording)["id"]
    own = studio.upload(recording)["id"]
    for sample_ids in ([foreign], [own, foreign], [new_id()]):
        error = error_of(ordered(studio, *sample_ids), 404)
        assert error["error_code"] == "sample_not_found"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"language": "tlh"}, "unsupported_language"),
        ({"engine": "nobody"}, "engine_not_found"),
        ({"sample_text": ""}, "invalid_request"),
        ({"colour": "red"}, "invalid_request"),
    ],
)
def test_an_order_that_cannot_be_met_is_refused(
    studio: Studio, recording: bytes, body: dict[str, str], code: str
) -> None:
    response = ordered(studio, studio.upload(recording)["id"], **body)
    assert error_of(response, 422)["error_code"] == code


def test_the_caller_may_choose_the_id_once(studio: Studio, recording: bytes) -> None:
    chosen = str(uuid4())
    sample_id = studio.upload(recording)["id"]
    assert studio.clone(sample_id, voice_id=chosen)["id"] == chosen
    taken = error_of(ordered(studio, sample_id, voice_id=chosen), 409)
    assert taken["error_code"] == "voice_id_taken"
    assert error_of(ordered(studio, sample_id, voice_id=str(ADA)), 409)


def test_a_rejected_or_silent_sample_is_refused_with_its_reason(studio: Studio) -> None:
    silent = encode_wav(Waveform(np.zeros(80_000, np.float32), 16_000))
    for data in (b"this is a text, not a recording", silent):
        sample_id = studio.upload(data)["id"]
        studio.work()
        error = error_of(ordered(studio, sample_id), 409)
        assert error["error_code"] == "sample_not_usable"
        assert "not audio" in error["message"] or "silent" in error["message"]


def test_an_unusable_set_that_was_not_measured_yet_fails_the_job_with_all_reasons(
    studio: Studio,
) -> None:
    silent = encode_wav(Waveform(np.zeros(80_000, np.float32), 16_000))
    ids = [
        studio.upload(b"a text, not a recording", "a.mp3")["id"],
        studio.upload(silent, "b.wav")["id"],
    ]
    voice = studio.clone(*ids)
    studio.work()
    failed = json_of(studio.get(f"/api/voices/{voice['id']}"))
    assert (failed["state"], failed["error_code"]) == ("failed", "no_usable_sample")
    assert "a.mp3" in failed["error_message"]
    assert "b.wav" in failed["error_message"]
    job = json_of(studio.get(f"/api/voices/job/{voice['job_id']}"))
    assert (job["status"], job["error_code"]) == ("failed", "no_usable_sample")
    assert studio.objects(voice["id"]) == set()
    error_of(studio.get(f"/api/voices/{voice['id']}/recording"), 404)


def test_short_recordings_make_a_voice_together(studio: Studio, speech: Waveform) -> None:
    rate = speech.sample_rate
    parts = [speech.samples[start * rate : (start + 2) * rate] for start in (0, 2, 4)]
    ids = [studio.upload(encode_wav(Waveform(part, rate)))["id"] for part in parts]
    studio.work()
    assert error_of(ordered(studio, ids[0]), 409)["error_code"] == "sample_not_usable"
    voice = studio.clone(*ids)
    studio.work()
    ready = json_of(studio.get(f"/api/voices/{voice['id']}"))
    assert ready["state"] == "ready"
    assert [used["is_used"] for used in ready["facts"]["recordings"]] == [True] * 3
    assert 4.5 < ready["facts"]["reference_duration_s"] < 6.8


def test_too_little_speech_in_all_fails_with_the_reason(studio: Studio, speech: Waveform) -> None:
    second = encode_wav(Waveform(speech.samples[: speech.sample_rate], speech.sample_rate))
    voice = studio.clone(*[studio.upload(second)["id"] for _ in range(2)])
    studio.work()
    failed = json_of(studio.get(f"/api/voices/{voice['id']}"))
    assert (failed["state"], failed["error_code"]) == ("failed", "too_little_speech")


def test_the_best_recordings_fill_a_reference_of_bounded_length(
    studio: Studio, speech: Waveform, recording: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference_audio, "MAX_REFERENCE_S", 8.0)
    noise = np.random.default_rng(1).normal(0, 0.01, speech.frames).astype(np.float32)
    noisy = encode_wav(Waveform(speech.samples + noise, speech.sample_rate))
    voice = studio.clone(studio.upload(noisy)["id"], studio.upload(recording)["id"])
    studio.work()
    facts = json_of(studio.get(f"/api/voices/{voice['id']}"))["facts"]
    assert facts["reference_duration_s"] == pytest.approx(8.0, abs=0.01)
    assert [used["is_used"] for used in facts["recordings"]] == [False, True]


def test_cancelling_stops_the_work_and_leaves_a_failed_voice(
    studio: Studio, recording: bytes
) -> None:
    voice = studio.clone(studio.upload(recording)["id"])
    studio.work(most=2)
    cancel = f"/api/voices/job/{voice['job_id']}/cancel"
    assert json_of(studio.post(cancel))["status"] == "cancelled"
    assert json_of(studio.post(cancel))["status"] == "cancelled"
    assert studio.ready_steps() == []
    shown = json_of(studio.get(f"/api/voices/{voice['id']}"))
    assert (shown["state"], shown["error_code"]) == ("failed", "cancelled")


def test_a_sample_deleted_before_its_turn_fails_the_voice(studio: Studio, recording: bytes) -> None:
    sample = studio.upload(recording)
    voice = studio.clone(sample["id"])
    studio.delete(f"/api/samples/{sample['id']}")
    studio.work()
    assert json_of(studio.get(f"/api/voices/{voice['id']}"))["state"] == "failed"


def test_a_voice_outlives_its_samples(studio: Studio, recording: bytes) -> None:
    voice = studio.cloned(recording)
    sample = json_of(studio.get("/api/samples"))["items"][0]
    assert studio.delete(f"/api/samples/{sample['id']}").status_code == 204
    assert json_of(studio.get(f"/api/voices/{voice['id']}"))["state"] == "ready"
    assert len(studio.objects(voice["id"])) == 4


def test_a_voice_is_renamed_and_found(studio: Studio, recording: bytes) -> None:
    sample_id = studio.upload(recording)["id"]
    voice = studio.clone(sample_id)
    other = studio.clone(sample_id, name="Grandfather", language="de", kids=True)
    changed = studio.patch(
        f"/api/voices/{voice['id']}", json={"name": "Great-aunt", "description": "kind"}
    )
    assert (json_of(changed)["name"], json_of(changed)["description"]) == ("Great-aunt", "kind")

    def found(query: str) -> list[str]:
        page = json_of(studio.get(f"/api/voices?mine=true&{query}"))
        return [item["id"] for item in page["items"]]

    assert found("") == [other["id"], voice["id"]]
    assert found("name=great") == [voice["id"]]
    assert found("language=DE") == [other["id"]]
    assert found("kids=false") == [voice["id"]]
    assert found("state=cloning&engine=espeak&limit=1") == [other["id"]]
    assert found("state=ready") == []
    assert found("visibility=public") == []
    unfiltered = json_of(studio.get("/api/voices?name=Ada"))["items"]
    assert [item["id"] for item in unfiltered] == [str(ADA)]


def test_a_builtin_voice_cannot_be_changed_taken_or_deleted(studio: Studio) -> None:
    path = f"/api/voices/{ADA}"
    for response in (
        studio.patch(path, json={"name": "mine"}),
        studio.delete(path),
        studio.get(f"{path}/export"),
    ):
        assert error_of(response, 403)["error_code"] == "voice_is_public"


def test_another_users_voice_does_not_exist(studio: Studio, recording: bytes) -> None:
    voice = studio.clone(studio.upload(recording)["id"])
    stranger = studio.with_new_account()
    path = f"/api/voices/{voice['id']}"
    for response in (
        stranger.get(path),
        stranger.patch(path, json={"name": "mine"}),
        stranger.delete(path),
        stranger.get(f"{path}/export"),
        stranger.get(f"{path}/recording"),
        stranger.get(f"/api/voices/job/{voice['job_id']}"),
        stranger.post(f"/api/voices/job/{voice['job_id']}/cancel"),
    ):
        error_of(response, 404)
    assert studio.job(voice["job_id"]).state == JobState.PENDING
