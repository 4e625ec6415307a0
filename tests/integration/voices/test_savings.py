"""Savings and storage of real speech: what analytics says is what lies there."""

from __future__ import annotations

from tests.integration.api.gateway import ADA
from tests.integration.voices.studio import Studio, json_of


def test_a_96k_mp3_saves_more_than_85_percent_and_every_figure_agrees(studio: Studio) -> None:
    order = {"text": "Once upon a time there was a fox.", "voice_id": str(ADA)}
    job_id = json_of(studio.post("/api/tts/generate", json=order))["job_id"]
    studio.work()
    job = json_of(studio.get(f"/api/tts/job/{job_id}"))
    assert job["saved_share"] >= 0.85
    assert 0.5 < job["saved_share_pcm"] < job["saved_share"]
    details = json_of(studio.get(f"/api/tts/job/{job_id}/result"))["details"]
    assert abs(job["saved_share"] - details["saved_share"]) < 0.001
    usage = json_of(studio.get("/api/auth/usage"))
    found = json_of(studio.get("/api/analytics"))
    totals = found["totals"]
    for name in ("characters", "output_bytes", "saved_bytes"):
        assert totals[name] == usage[name], name
    assert abs(totals["audio_s"] - usage["audio_s"]) < 0.01
    assert totals["jobs"]["completed"] == usage["jobs"] == 1
    assert totals["real_time_factor"] > 0
    [outputs] = [kind for kind in found["storage"]["kinds"] if kind["kind"] == "outputs"]
    assert outputs["size_bytes"] == job["output_size_bytes"]


def test_a_voices_files_are_counted_as_they_lie_in_the_store(
    studio: Studio, recording: bytes
) -> None:
    voice = studio.cloned(recording)
    keys = studio.objects(voice["id"])
    friend = studio.with_new_account()
    assert friend.import_file(studio.export(voice["id"])).status_code == 201
    for somebody in (studio, friend):
        kinds = json_of(somebody.get("/api/analytics"))["storage"]["kinds"]
        sizes = {kind["kind"]: (kind["count"], kind["size_bytes"]) for kind in kinds}
        stored = sum(studio.container.store.stat(key).size_bytes for key in keys)
        assert sizes["voices"] == (1, stored)
    uploads = json_of(studio.get("/api/analytics"))["storage"]["kinds"][0]
    assert (uploads["count"], uploads["size_bytes"]) == (1, len(recording))
