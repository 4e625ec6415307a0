"""Chatterbox from the upload to the file, through the gateway and a worker's pool of threads."""

from __future__ import annotations

import io
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import numpy as np

from deploy.local.ports import HOST
from mynah.contracts.states import JobState, StepState
from mynah.db.models import Step, Voice
from mynah.engines.chatterbox.profile_layout import MEL, SPEAKER, T3_TOKENS, TOKENS
from mynah.engines.profile_file import dump_profile, load_profile
from tests.integration.api.gateway import ADA, CONSENT
from tests.integration.chatterbox.conftest import Stage
from tests.integration.voices.studio import json_of, multipart
from tests.parts import wait_for
from tests.parts.process import ROOT

TEXT = "The lamp is lit."
LONG = "The lamp is lit and the door is closed and all the house is fast asleep by now, " * 3
CALLERS = 8


def import_file(stage: Stage, data: bytes) -> Any:
    form = {
        "file": (io.BytesIO(data), "conds.pt"),
        "name": "Imported",
        "language": "en",
        "consent_statement": CONSENT["statement"],
        "consent_given_by": CONSENT["given_by"],
    }
    return stage.post("/api/voices/import", **multipart(form))


def is_running(stage: Stage, job_id: object) -> bool:
    with stage.gateway.container.new_uow() as uow:
        steps = uow.session.query(Step).filter_by(job_id=job_id)
        return any(step.state == StepState.RUNNING for step in steps)


@contextmanager
def changed_profile(stage: Stage, voice_id: str) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that gives the voice's stored profile other arrays, until the block ends."""
    container = stage.gateway.container
    with container.new_uow() as uow:
        key = str(uow.session.get_one(Voice, UUID(voice_id)).objects["engine_profile"])
    good = container.store.get(key)
    profile = load_profile(good, "chatterbox")

    def put(data: bytes) -> None:
        container.store.put(key, data, "application/octet-stream")
        # Only then: a cache that reads in between must not keep the old one as the new.
        with container.new_uow() as uow:
            uow.session.get_one(Voice, UUID(voice_id)).profile_version += 1
            uow.commit()

    try:
        yield lambda arrays: put(
            dump_profile(replace(profile, arrays={**profile.arrays, **arrays}))
        )
    finally:
        put(good)


def test_a_warm_engine_is_announced_as_loaded_and_healthy(stage: Stage) -> None:
    wait_for(lambda: (seen := stage.report("speaker")) and seen.loaded, 30, "it is loaded")
    listed = json_of(stage.get("/api/tts/models/chatterbox/info"))
    assert (listed["available"], listed["workers"]) == (True, 1)
    command = [sys.executable, "-m", "services.worker_tts.health"]
    for name, status in (("speaker", 0), ("nobody", 1)):
        found = subprocess.run(
            [*command, f"{name}@{socket.gethostname()}"],
            env=stage.environment, cwd=ROOT, capture_output=True, check=False,
        )  # fmt: skip
        assert found.returncode == status, found.stderr


def test_a_cloned_voice_speaks_a_file(stage: Stage, voice_id: str) -> None:
    samples = stage.spoken(stage.order(voice_id, TEXT, seed=3))
    assert samples.size > 24_000 / 2
    assert np.abs(samples).max() > 0.01


def test_callers_at_the_same_time_each_get_their_own_speech(stage: Stage, voice_id: str) -> None:
    orders = [(f"The lamp {word} lit.", seed) for seed, word in enumerate(["is", "was"] * 2)]
    alone = [stage.spoken(stage.order(voice_id, text, seed=seed)) for text, seed in orders]
    jobs = [stage.order(voice_id, text, seed=seed) for text, seed in orders * (CALLERS // 4)]
    for mine, job_id in zip(alone * (CALLERS // 4), jobs, strict=True):
        got = stage.spoken(job_id)
        assert got.size == mine.size
        np.testing.assert_allclose(got, mine, atol=5e-3)
    assert not any(
        one.size == other.size and np.allclose(one, other, atol=0.02)
        for index, one in enumerate(alone)
        for other in alone[:index]
    )


def test_speech_is_streamed_while_it_is_made(stage: Stage, voice_id: str) -> None:
    order = {"text": TEXT, "voice_id": voice_id, "output_format": "pcm", "seed": 3}
    answer = stage.post("/api/tts/stream", json=order)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    assert answer.headers["X-Sample-Rate"] == "24000"
    streamed = np.frombuffer(answer.get_data(), "<i2")
    spoken = stage.spoken(stage.order(voice_id, TEXT, seed=3))
    assert abs(streamed.size - spoken.size) < 24_000 / 4
    assert np.abs(streamed).max() > 300


def test_the_model_has_a_voice_of_its_own_for_everybody(stage: Stage) -> None:
    def own() -> list[dict[str, object]]:
        voices = json_of(stage.get("/api/voices?limit=100"))["items"]
        return [
            voice for voice in voices if voice["engine"] == "chatterbox" and not voice["is_own"]
        ]

    wait_for(own, 10, "the voice beside the weights is shown")
    [voice] = own()
    assert stage.spoken(stage.order(str(voice["id"]), TEXT)).size


def test_the_librarys_voice_file_becomes_a_voice(stage: Stage, models: Path, voice_id: str) -> None:
    asked = import_file(stage, (models / "chatterbox" / "conds.pt").read_bytes())
    assert asked.status_code in (201, 202), asked.get_data(as_text=True)
    voice = stage.settled(json_of(asked)["id"])
    assert (voice["state"], voice["engine"]) == ("ready", "chatterbox"), voice["error_message"]
    assert stage.spoken(stage.order(str(voice["id"]), TEXT)).size


def test_what_only_looks_like_the_librarys_file_is_refused(stage: Stage, models: Path) -> None:
    data = (models / "chatterbox" / "conds.pt").read_bytes()
    codes = {}
    for name, changed in {
        "cut short": data[:-2000],
        "another function": data.replace(b"_rebuild_tensor_v2", b"_rebuild_tensor_v9"),
        "another part": data.replace(b"speaker_emb", b"speaker_umb"),
    }.items():
        answer = import_file(stage, changed)
        assert answer.status_code == 422, name
        codes[name] = json_of(answer)["error_code"]
    assert codes["cut short"] == "damaged_voice_file"


def test_bad_input_fails_its_own_request_clearly_and_the_engine_goes_on(
    stage: Stage, voice_id: str
) -> None:
    texts = {"": 422, " ": 422, "🙂🙂": 422, "...": 422, "\x00": 422, "a" * 10_000: 422, "a": 202}
    for text, status in texts.items():
        asked = stage.post("/api/tts/generate", json={"text": text, "voice_id": voice_id})
        assert asked.status_code == status, text[:5]
    with changed_profile(stage, voice_id) as change:
        for name, array in {
            SPEAKER: np.zeros(10, np.float32),
            T3_TOKENS: np.full(24, 10**6),
            TOKENS: np.zeros(20_000, np.int64),
            MEL: np.full((10, 80), 1e38, np.float32),
        }.items():
            change({name: array})
            job = stage.ended(stage.order(voice_id, TEXT))
            assert job.state == JobState.FAILED, name
            assert job.error_code in ("invalid_profile", "damaged_profile"), name
    assert stage.spoken(stage.order(voice_id, TEXT)).size


def test_cancelling_in_the_middle_frees_the_row(stage: Stage, voice_id: str) -> None:
    job_id = stage.order(voice_id, LONG)
    wait_for(lambda: is_running(stage, job_id), 20, "it is spoken")
    cancelled = stage.post(f"/api/tts/job/{job_id}/cancel")
    assert cancelled.status_code == 200
    wait_for(lambda: not is_running(stage, job_id), 10, "its step has ended")
    assert stage.job(job_id).state == JobState.CANCELLED
    assert stage.spoken(stage.order(voice_id, TEXT)).size


def test_the_worker_shows_the_engines_figures(stage: Stage, voice_id: str) -> None:
    stage.spoken(stage.order(voice_id, TEXT))

    def figures() -> dict[str, float]:
        text = httpx.get(f"http://{HOST}:{stage.metrics_port}/metrics").text
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    def of(name: str) -> float:
        return figures()[f'mynah_{name}{{engine="chatterbox"}}']

    wait_for(lambda: of("engine_tokens_total") > 100, 10, "tokens are counted")
    assert of("engine_steps_total") > 10
    assert of("engine_requests_total") >= 2
    assert of("engine_queue_seconds_total") > 0
    assert of("first_audio_seconds_count") >= 1
    assert of("engine_tokens_per_second") > 0
    shown = figures()
    assert shown['mynah_engine_loads_total{engine="chatterbox",outcome="loaded"}'] == 1
    assert shown['mynah_engine_tests_total{engine="chatterbox",outcome="passed"}'] >= 1
    assert shown['mynah_device_bytes{device="cpu"}'] > 100e6


def test_what_a_killed_worker_was_speaking_is_spoken_by_the_next(
    stage: Stage, voice_id: str
) -> None:
    job_id = stage.order(voice_id, LONG)
    wait_for(lambda: is_running(stage, job_id), 20, "it is spoken")
    stage.kill_speakers()
    stage.start_speaker("speaker-2")
    assert stage.spoken(job_id).size > 24_000


def test_a_worker_that_is_told_to_end_closes_its_engines(stage: Stage, voice_id: str) -> None:
    stage.spoken(stage.order(voice_id, TEXT))
    [log] = stage.stop_speakers()
    assert '"event": "engine_unloaded"' in log
    assert '"reason": "shutdown"' in log


def test_a_damaged_checkpoint_is_told_of_fails_only_its_own_jobs_and_may_be_mended(
    stage: Stage, voice_id: str, models: Path, damaged_models: Path
) -> None:
    stage.stop_speakers()
    stage.start_speaker("speaker-3", MYNAH_CHATTERBOX_DIR=str(damaged_models))
    job_id = stage.order(voice_id, TEXT)
    assert stage.spoken(stage.order(str(ADA), TEXT)).size
    job = stage.ended(job_id)
    assert (job.state, job.error_code) == (JobState.FAILED, "checkpoint_mismatch")
    assert "ve.safetensors" in str(job.error_message)

    def listed() -> dict[str, object]:
        return json_of(stage.get("/api/tts/models/chatterbox/info"))

    # A worker that was killed counts as alive for some seconds more.
    wait_for(lambda: "ve.safetensors" in str(listed()["reason"]), 25, "it is told")
    assert not listed()["available"]
    assert json_of(stage.get("/api/tts/models/espeak/info"))["available"]
    name = "chatterbox/ve.safetensors"
    shutil.copy(models / name, damaged_models / name)
    wait_for(lambda: listed()["available"], 40, "it is mended")
    assert stage.spoken(stage.order(voice_id, TEXT)).size
