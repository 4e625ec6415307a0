"""An engine for tests of what holds engines: it notes what happens to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from mynah.audio.waveform import Waveform
from mynah.engines.base import EngineInfo, Profile, SpeechBlock, SynthesisSettings
from mynah.engines.catalog import ESPEAK
from mynah.errors import EngineFailed


class FakeEngine:
    """Speaks a tenth of a second; waits for ``gate`` before, and fails while ``is_broken``."""

    def __init__(self, engine_id: str) -> None:
        self.info: EngineInfo = replace(ESPEAK, id=engine_id, own_voices=None)
        self.is_closed = False
        self.is_broken = False
        self.gate = threading.Event()
        self.gate.set()
        self.spoken = 0

    def prepare_profile(self, samples: Sequence[Waveform], language: str) -> Profile:
        return Profile(self.info.id, "1", language)

    def builtin_profile(self, name: str, language: str) -> Profile:
        return Profile(self.info.id, "1", language)

    def synthesize(
        self, text: str, profile: Profile, settings: SynthesisSettings
    ) -> Iterator[SpeechBlock]:
        self.gate.wait(30)
        if self.is_broken:
            raise EngineFailed("It is broken.")
        self.spoken += 1
        yield SpeechBlock(Waveform(np.full(2400, np.float32(0.1)), 24_000))

    def close(self) -> None:
        self.is_closed = True
