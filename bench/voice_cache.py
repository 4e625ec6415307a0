"""A cloned voice's profile: from the cache, from the store, and by a temporary file."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import numpy as np

from bench.report import print_row, print_title
from mynah.audio.waveform import Waveform
from mynah.engines.base import Profile, SynthesisSettings
from mynah.engines.profile_file import dump_profile, load_profile
from mynah.engines.registry import load_engine
from mynah.storage.local import LocalObjectStore
from services.worker_tts.profile_cache import ProfileCache

ROUNDS = 200
TEXT = (
    "Every evening the lamplighter walked along the river, and one by one the windows of the "
    "town began to shine. Nobody knew where he came from, and nobody asked."
)


def run() -> None:
    """Make a profile of eSpeak's own speech, then load it in three ways."""
    print_title("Profile of a cloned voice")
    engine = load_engine("espeak")
    spoken = engine.synthesize(
        TEXT * 2, engine.builtin_profile("en-us+f2", "en-us"), SynthesisSettings()
    )
    samples = np.concatenate([block.waveform.samples for block in spoken])
    profile = engine.prepare_profile([Waveform(samples, engine.info.sample_rate)], "en-us")
    with tempfile.TemporaryDirectory() as folder:
        _compare(LocalObjectStore(Path(folder)), profile, Path(folder))


def _compare(store: LocalObjectStore, profile: Profile, folder: Path) -> None:
    store.create()
    data = dump_profile(profile)
    store.put("voices/p.safetensors", data, "application/octet-stream")
    cache, voice_id = ProfileCache(8, 64), uuid4()

    def load() -> Profile:
        return load_profile(store.get("voices/p.safetensors"), "espeak")

    def by_file() -> Profile:
        path = folder / f"{uuid4()}.safetensors"
        path.write_bytes(store.get("voices/p.safetensors"))
        try:
            return load_profile(path.read_bytes(), "espeak")
        finally:
            path.unlink()

    cache.get(voice_id, 1, load)
    cached = _median_s(lambda: cache.get(voice_id, 1, load))
    uncached, filed = _median_s(load), _median_s(by_file)
    print_row("size of the profile", f"{len(data) / 1000:.0f} kB")
    print_row("cached against uncached", f"{uncached / cached:.0f} x", ">= 10 x")
    print_row("array against temporary file", f"{filed / uncached:.2f} x", ">= 1.5 x")


def _median_s(call: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return float(np.median(times))
