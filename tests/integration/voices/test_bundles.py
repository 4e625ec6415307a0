"""Voices that leave as one file and come back, and files that only pretend to be voices."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mynah.audio.npy import load_npy
from mynah.audio.waveform import Waveform
from mynah.contracts.states import JobState
from mynah.engines.base import Profile
from mynah.engines.profile_file import dump_profile, load_profile
from mynah.errors import StorageUnavailable
from mynah.storage.local import LocalObjectStore
from tests.integration.api.gateway import CONSENT, error_of
from tests.integration.voices.studio import Studio, json_of
from tests.unit.voices.torch_like import save, tensor

FORM = {
    "name": "Imported",
    "language": "en",
    "consent_statement": CONSENT["statement"],
    "consent_given_by": CONSENT["given_by"],
}
PARTS = {"manifest.json", "reference.npy", "profile.safetensors", "recorded.mp3", "sample.mp3"}


def npy(samples: Any) -> bytes:
    output = io.BytesIO()
    np.save(output, samples, allow_pickle=True)
    return output.getvalue()


def unpack(bundle: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(parts: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return output.getvalue()


def repack(bundle: bytes, change: Callable[[dict[str, bytes], dict[str, Any]], None]) -> bytes:
    """The bundle after ``change(parts, manifest)``; checksums stay as they were."""
    parts = unpack(bundle)
    manifest = json.loads(parts["manifest.json"])
    change(parts, manifest)
    if "manifest.json" in parts:
        parts["manifest.json"] = json.dumps(manifest).encode()
    return pack(parts)


def finished(studio: Studio, data: bytes, **form: object) -> dict[str, Any]:
    """Import a file that lacks something, and let the workers make it."""
    response = studio.import_file(data, "voice", **{**FORM, **form})
    assert response.status_code == 202, response.get_data(as_text=True)
    voice = json_of(response)
    assert (voice["state"], studio.job(voice["job_id"]).state) == ("cloning", JobState.PENDING)
    studio.work()
    return json_of(studio.get(f"/api/voices/{voice['id']}"))


@pytest.fixture
def bundle(studio: Studio, recording: bytes) -> bytes:
    return studio.export(studio.cloned(recording, name="Ann ♥", kids=True)["id"])


def test_a_bundle_holds_everything_with_checksums(studio: Studio, recording: bytes) -> None:
    voice = studio.cloned(recording, name="Ann ♥", description="kind", kids=True)
    with studio.get(f"/api/voices/{voice['id']}/export") as response:
        assert response.mimetype == "application/zip"
        assert "attachment" in response.headers["Content-Disposition"]
        parts = unpack(response.get_data())
    assert parts.keys() == PARTS
    manifest = json.loads(parts["manifest.json"])
    assert (manifest["format"], manifest["version"]) == ("mynah-voice", 1)
    shown = manifest["voice"]
    assert (shown["name"], shown["description"], shown["kids"]) == ("Ann ♥", "kind", True)
    assert (shown["language"], shown["engine"]) == ("en-us", "espeak")
    assert manifest["consent"]["statement"] == CONSENT["statement"]
    assert manifest["consent"]["recorded_by"] == str(studio.account.id)
    row = studio.voice(voice["id"])
    for role, described in manifest["files"].items():
        data = parts[described["path"]]
        assert data == studio.container.store.get(row.objects[role])
        assert hashlib.sha256(data).hexdigest() == described["sha256"]
        assert len(data) == described["size_bytes"]


def test_a_bundle_comes_back_as_the_same_voice_ready_at_once(studio: Studio, bundle: bytes) -> None:
    friend = studio.with_new_account()
    response = friend.import_file(bundle)
    assert response.status_code == 201, response.get_data(as_text=True)
    voice = json_of(response)
    assert (voice["state"], voice["job_id"]) == ("ready", None)
    assert (voice["name"], voice["kids"], voice["language"]) == ("Ann ♥", True, "en-us")
    assert voice["consent"].items() >= CONSENT.items()
    assert voice["consent"]["imported_by"] == str(friend.account.id)
    assert voice["consent"]["recorded_by"] == str(studio.account.id)
    keys = friend.objects(voice["id"])
    assert len(keys) == 4
    assert all(key.startswith("voices/en-us/kids/") for key in keys)
    before, after = unpack(bundle), unpack(friend.export(voice["id"]))
    for part in ("reference.npy", "recorded.mp3", "sample.mp3"):
        assert after[part] == before[part]
    old, new = (load_profile(each["profile.safetensors"], "espeak") for each in (before, after))
    assert all(np.array_equal(old.arrays[name], new.arrays[name]) for name in old.arrays)
    order = {"text": "Good night.", "voice_id": voice["id"]}
    job = json_of(friend.post("/api/tts/generate", json=order))
    friend.work()
    assert friend.job(job["job_id"]).state == JobState.COMPLETED


def test_an_import_may_rename_and_renew_the_consent(studio: Studio, bundle: bytes) -> None:
    voice = json_of(studio.import_file(bundle, **{**FORM, "kids": "false"}))
    assert (voice["name"], voice["kids"]) == ("Imported", False)
    assert "imported_by" not in voice["consent"]


def test_what_a_bundle_lacks_is_made(studio: Studio, bundle: bytes) -> None:
    def strip(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
        for role, name in (("recorded", "recorded.mp3"), ("spoken_sample", "sample.mp3")):
            del parts[name], manifest["files"][role]

    voice = finished(studio, repack(bundle, strip))
    assert voice["state"] == "ready"
    assert len(studio.objects(voice["id"])) == 4
    assert voice["facts"]["recorded_bitrate_kbps"] == 160


def test_a_profile_of_another_version_is_made_anew(studio: Studio, bundle: bytes) -> None:
    def age(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
        new = load_profile(parts["profile.safetensors"], "espeak")
        old = Profile("espeak", "0", new.language, new.arrays, new.meta)
        parts["profile.safetensors"] = data = dump_profile(old)
        manifest["files"]["engine_profile"]["sha256"] = hashlib.sha256(data).hexdigest()

    voice = finished(studio, repack(bundle, age))
    assert voice["state"] == "ready"
    profile = unpack(studio.export(voice["id"]))["profile.safetensors"]
    assert load_profile(profile, "espeak").version == "1"


def test_a_voice_that_is_not_ready_is_not_exported(studio: Studio, recording: bytes) -> None:
    voice = studio.clone(studio.upload(recording)["id"])
    error = error_of(studio.get(f"/api/voices/{voice['id']}/export"), 409)
    assert error["error_code"] == "voice_not_ready"


def _tamper(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
    parts["reference.npy"] = parts["reference.npy"][:-4] + b"\0\0\0\0"


def _swap_mp3(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
    parts["sample.mp3"] = data = b"<html><script>alert(1)</script></html>"
    manifest["files"]["spoken_sample"]["sha256"] = hashlib.sha256(data).hexdigest()


def _later(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["version"] = 2


def _other_engine(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["voice"]["engine"] = "nobody"


def _foreign_path(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["files"]["recorded"]["path"] = "../../etc/passwd"


def _extra(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
    parts["../evil.py"] = b"import os"


def _missing(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
    del parts["reference.npy"]


def _nul(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["voice"]["name"] = "Ann\0"


def _no_consent(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["consent"] = None


def _tongue(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["voice"]["language"] = "tlh"


def _no_files(parts: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["files"] = {}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_tamper, "checksum_mismatch"),
        (_swap_mp3, "damaged_voice_file"),
        (_later, "unknown_bundle_version"),
        (_other_engine, "invalid_profile"),
        (_foreign_path, "damaged_voice_file"),
        (_extra, "damaged_voice_file"),
        (_missing, "damaged_voice_file"),
        (_nul, "damaged_voice_file"),
        (_no_consent, "consent_required"),
        (_tongue, "unsupported_language"),
        (_no_files, "unknown_voice_file"),
    ],
)
def test_a_bundle_that_was_changed_is_refused_and_leaves_nothing(
    studio: Studio, bundle: bytes, change: Any, code: str
) -> None:
    before = len(json_of(studio.get("/api/voices?mine=true"))["items"])
    error = error_of(studio.import_file(repack(bundle, change)), 422)
    assert error["error_code"] == code
    assert len(json_of(studio.get("/api/voices?mine=true"))["items"]) == before


def test_a_zip_bomb_costs_nothing(studio: Studio) -> None:
    bomb = pack({"manifest.json": b" " * 300_000_000}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 400_000
    assert error_of(studio.import_file(bomb), 422)["error_code"] == "damaged_voice_file"


def test_a_zip_that_understates_its_entries_is_refused(studio: Studio, bundle: bytes) -> None:
    packed = bytearray(pack(unpack(bundle), zipfile.ZIP_DEFLATED))
    place = packed.rfind(b"reference.npy") - 46 + 24  # the size in the list of entries
    struct.pack_into("<I", packed, place, 100)
    assert error_of(studio.import_file(bytes(packed)), 422)["error_code"] == "damaged_voice_file"


def test_a_zip_of_countless_entries_is_refused_before_they_are_listed(studio: Studio) -> None:
    names = {f"{number:06d}": b"" for number in range(20_000)}
    error = error_of(studio.import_file(pack(names)), 422)
    assert error["error_code"] == "damaged_voice_file"
    assert "too many" in error["message"]


def test_reference_audio_alone_becomes_a_voice(studio: Studio, speech: Waveform) -> None:
    pcm = speech.to_int16()
    voice = finished(studio, npy(np.stack([pcm, pcm])), sample_rate=speech.sample_rate)
    assert (voice["state"], voice["error_message"]) == ("ready", None)
    assert voice["consent"].items() >= CONSENT.items()
    row = studio.voice(voice["id"])
    reference = load_npy(studio.container.store.get(row.objects["reference_audio"]))
    assert np.array_equal(reference, pcm / np.float32(32768))
    assert row.objects.keys() == {
        "reference_audio",
        "engine_profile",
        "recorded",
        "spoken_sample",
    }


def test_an_engines_profile_alone_becomes_a_voice(studio: Studio, bundle: bytes) -> None:
    voice = finished(studio, unpack(bundle)["profile.safetensors"])
    assert (voice["state"], voice["error_message"]) == ("ready", None)
    assert voice["recording_url"] is None
    assert studio.voice(voice["id"]).objects.keys() == {"engine_profile", "spoken_sample"}
    again = studio.import_file(studio.export(voice["id"]))
    assert json_of(again)["state"] == "ready"


def test_a_torch_file_with_audio_becomes_a_voice(studio: Studio, speech: Waveform) -> None:
    document = {"audio": tensor(speech.samples), "sample_rate": speech.sample_rate}
    voice = finished(studio, save(document))
    assert (voice["state"], voice["error_message"]) == ("ready", None)
    assert voice["facts"]["reference_sample_rate"] == speech.sample_rate


def test_a_torch_file_with_a_profiles_tensors_becomes_a_voice(
    studio: Studio, bundle: bytes
) -> None:
    profile = load_profile(unpack(bundle)["profile.safetensors"], "espeak")
    document: dict[str, Any] = {name: tensor(array) for name, array in profile.arrays.items()}
    voice = finished(studio, save({**document, **profile.meta}), engine="espeak")
    assert (voice["state"], voice["error_message"]) == ("ready", None)


def test_a_profile_that_does_not_fit_its_engine_fails_with_the_reason(studio: Studio) -> None:
    voice = finished(studio, save({"embedding": tensor(np.ones(16))}), engine="espeak")
    assert (voice["state"], voice["error_code"]) == ("failed", "invalid_profile")


class _Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (open, ("/tmp/mynah-trap", "w"))


@pytest.mark.parametrize(
    ("data", "form", "code"),
    [
        (save({"audio": tensor([0.5]), "trap": _Trap()}), {}, "unsafe_voice_file"),
        (npy(np.array([{}], dtype=object)), {"sample_rate": 16000}, "unsafe_voice_file"),
        (b"\x80\x02cos\nsystem\n.", {}, "unsafe_voice_file"),
        (npy(np.ones(100, np.float32)), {}, "sample_rate_needed"),
        (npy(np.ones(100, np.float32)), {"sample_rate": 16000}, "too_short"),
        (npy(np.zeros(99_000, np.float32)), {"sample_rate": 16000}, "silent"),
        (npy(np.ones(1_000_000, np.float32)), {"sample_rate": 1000}, "too_long"),
        (b"Once upon a time", {}, "unknown_voice_file"),
        (b"", {}, "unknown_voice_file"),
        (save({"list": [1, 2]}), {}, "unknown_voice_file"),
        (struct.pack("<Q", 2**40) + b"{", {}, "invalid_profile"),
    ],
)
def test_a_file_that_is_no_voice_is_refused_and_leaves_nothing(
    studio: Studio, data: bytes, form: dict[str, Any], code: str
) -> None:
    response = studio.import_file(data, "voice", **{**FORM, **form})
    assert error_of(response, 422)["error_code"] == code
    assert json_of(studio.get("/api/voices?mine=true"))["items"] == []


@pytest.mark.parametrize("lacking", ["name", "language"])
def test_a_voice_file_needs_its_name_and_language(
    studio: Studio, speech: Waveform, lacking: str
) -> None:
    form = {name: value for name, value in FORM.items() if name != lacking}
    response = studio.import_file(npy(speech.samples), sample_rate=22050, **form)
    assert error_of(response, 422)["error_code"] == f"{lacking}_needed"


def test_a_voice_file_needs_the_whole_consent(studio: Studio, speech: Waveform) -> None:
    form: dict[str, Any] = {"name": "Ann", "language": "en", "sample_rate": 22050}
    response = studio.import_file(npy(speech.samples), **form)
    assert error_of(response, 422)["error_code"] == "consent_required"
    half = {**form, "consent_given_by": "Ann"}
    response = studio.import_file(npy(speech.samples), **half)
    assert error_of(response, 422)["error_code"] == "invalid_request"


def test_an_import_that_the_store_breaks_off_leaves_nothing(
    studio: Studio, bundle: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, stored = LocalObjectStore.put, []

    def put_two(store: LocalObjectStore, key: str, data: bytes, content_type: str) -> None:
        if len(stored) == 2:
            raise StorageUnavailable
        stored.append(key)
        real(store, key, data, content_type)

    friend = studio.with_new_account()
    with monkeypatch.context() as patched:
        patched.setattr(LocalObjectStore, "put", put_two)
        error_of(friend.import_file(bundle), 503)
    assert json_of(friend.get("/api/voices?mine=true"))["items"] == []
    assert not any(studio.objects(key) for key in stored)
