"""Engines of fixed cost for benchmarks: 1 s of waiting for 5 s of audio, as a GPU would make, or 1.

It waits instead of computing, so that sixteen workers of it run on two cores. Importing this
module changes nothing; ``bench/private_stack.py`` puts it in the workers' catalog by an entry
point of the group ``mynah.engines``.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from mynah.audio.waveform import Waveform
from mynah.engines.base import EngineInfo, Profile, SpeechBlock, SynthesisSettings

COMPUTE_PER_AUDIO, SLOW_COMPUTE_PER_AUDIO = 0.2, 1.0
SAMPLE_RATE = 24_000
BLOCK_S = 1.0

INFO = EngineInfo(
    id="simulated",
    name="Simulated engine",
    description="Waits 1 s for 5 s of audio. For benchmarks.",
    factory="bench.simulated_engine:SimulatedEngine",
    version="1",
    sample_rate=SAMPLE_RATE,
    languages=("en-us",),
    max_piece_characters=300,
    supports_cloning=False,
    supports_training=False,
    supports_streaming=True,
)

SLOW_INFO = replace(
    INFO,
    id="simulated_slow",
    name="Slow simulated engine",
    description="Waits 1 s for 1 s of audio. For benchmarks.",
    factory="bench.simulated_engine:SlowEngine",
)


class SimulatedEngine:
    """Speaks a hum with the rhythm of syllables, at the pace that its catalog row promises."""

    info = INFO
    compute_per_audio = COMPUTE_PER_AUDIO

    def prepare_profile(self, samples: Sequence[Waveform], language: str) -> Profile:
        """There is nothing to learn."""
        return Profile(self.info.id, self.info.version, language)

    def builtin_profile(self, name: str, language: str) -> Profile:
        """The one voice."""
        return Profile(self.info.id, self.info.version, language, meta={"name": name})

    def synthesize(
        self, text: str, profile: Profile, settings: SynthesisSettings
    ) -> Iterator[SpeechBlock]:
        """Wait and hum, a second at a time."""
        rest_s = len(text) / self.info.characters_per_second / settings.rate
        while rest_s > 0:
            length_s = min(BLOCK_S, rest_s)
            rest_s -= length_s
            time.sleep(length_s * self.compute_per_audio)
            yield SpeechBlock(hum(length_s))

    def close(self) -> None:
        """There is nothing to free."""


class SlowEngine(SimulatedEngine):
    """The same at the pace of listening."""

    info = SLOW_INFO
    compute_per_audio = SLOW_COMPUTE_PER_AUDIO


def hum(length_s: float) -> Waveform:
    """A hum with the rhythm of syllables."""
    time_s = np.arange(int(length_s * SAMPLE_RATE)) / SAMPLE_RATE
    voiced = sum(np.sin(2 * np.pi * 140 * k * time_s) / k for k in range(1, 12))
    rhythm = 0.2 + 0.8 * np.sin(np.pi * ((4 * time_s) % 1))
    return Waveform((0.15 * voiced * rhythm).astype(np.float32), SAMPLE_RATE)
