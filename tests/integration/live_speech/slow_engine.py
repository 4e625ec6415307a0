"""An engine that speaks as slowly as a test wants, and whose every sample is known before.

It runs in the workers of the tests, by an entry point. A text may say "slowly": then a second of
speech takes a second, else a twentieth of it. It notes each block in a file.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mynah.audio.waveform import Waveform
from mynah.engines.base import EngineInfo, Profile, SpeechBlock, SynthesisSettings
from mynah.errors import EngineFailed

BLOCK_S = 0.05
SAMPLE_RATE = 16_000
NOTES = "SLOW_ENGINE_NOTES"

INFO = EngineInfo(
    id="slow",
    name="Slow engine",
    description="For tests.",
    factory="tests.integration.live_speech.slow_engine:SlowEngine",
    version="1",
    sample_rate=SAMPLE_RATE,
    languages=("en-us",),
    max_piece_characters=60,
    supports_cloning=False,
    supports_training=False,
    supports_streaming=True,
)


class SlowEngine:
    """Speaks a hum of its own for every text."""

    info = INFO

    def prepare_profile(self, samples: Sequence[Waveform], language: str) -> Profile:
        return Profile(INFO.id, INFO.version, language)

    def builtin_profile(self, name: str, language: str) -> Profile:
        return Profile(INFO.id, INFO.version, language, meta={"name": name})

    def synthesize(
        self, text: str, profile: Profile, settings: SynthesisSettings
    ) -> Iterator[SpeechBlock]:
        samples = speech_of(text)
        frames = round(BLOCK_S * SAMPLE_RATE)
        for start in range(0, len(samples), frames):
            if "choke" in text and start > len(samples) // 2:
                raise EngineFailed("The engine choked.")
            time.sleep(BLOCK_S if "slowly" in text else BLOCK_S / 20)
            note(text)
            yield SpeechBlock(Waveform(samples[start : start + frames], SAMPLE_RATE))

    def close(self) -> None:
        pass


def speech_of(text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """What the engine says, 16-bit exact: a hum with silence around and in the middle."""
    length = round(len(text) / INFO.characters_per_second * SAMPLE_RATE)
    moments = np.arange(length) / SAMPLE_RATE
    pitch = 110 + zlib.crc32(text.encode()) % 100
    hum = sum(np.sin(2 * np.pi * pitch * k * moments) / k for k in range(1, 8)) * 0.1
    hum = hum * (0.3 + 0.7 * np.abs(np.sin(5 * moments)))
    third = length // 3
    hum[third : third + SAMPLE_RATE // 10] = 0
    samples = np.concatenate([np.zeros(1500), hum, np.zeros(2500)])
    return (np.rint(samples * 32768) / 32768).astype(np.float32)


def note(text: str) -> None:
    with Path(os.environ[NOTES]).open("a") as notes:
        notes.write(f"{time.time()} {text}\n")
