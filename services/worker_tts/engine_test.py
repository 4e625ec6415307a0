"""A test sentence: whether a loaded engine really speaks."""

from __future__ import annotations

from typing import Final

import numpy as np

from mynah.audio.waveform import Waveform
from mynah.engines.base import Profile, SpeechEngine, SynthesisSettings
from mynah.engines.catalog import BUILTIN_VOICES
from mynah.engines.registry import own_voices
from mynah.errors import EngineFailed

SENTENCE: Final = "One, two, three."
_LANGUAGE: Final = "en"
_SETTINGS: Final = SynthesisSettings(seed=1, is_live=True)
_REFERENCE_S: Final = 6.0  # Turbo asks for five
_RATE: Final = 24_000
_FORMANTS_HZ: Final = ((700, 1200, 2600), (300, 2200, 3000))  # "a" and "i"


def speak_test(engine: SpeechEngine, profile: Profile) -> None:
    """Speak the first sound of a short sentence: by then all parts have worked.

    Raises EngineFailed for no sound or no numbers, and what the engine raises.
    """
    for block in engine.synthesize(SENTENCE, profile, _SETTINGS):
        if not np.isfinite(block.waveform.samples).all():
            raise EngineFailed("The test sentence is not sound.")
        if block.waveform.frames:
            return
    raise EngineFailed("The test sentence was not spoken.", code="nothing_spoken")


def make_test_profile(engine: SpeechEngine) -> Profile:
    """The profile of one of the engine's own voices; without any, of a mumbling machine.

    Raises what the engine raises.
    """
    own = own_voices(engine.info.id) or BUILTIN_VOICES
    voice = next((voice for voice in own if voice.engine == engine.info.id), None)
    if voice is not None:
        return engine.builtin_profile(voice.engine_voice, voice.language)
    return engine.prepare_profile([mumble()], _LANGUAGE)


def mumble() -> Waveform:
    """Six seconds that a cloning engine takes for speech: two vowels in turn, three a second."""
    moments = np.arange(round(_REFERENCE_S * _RATE)) / _RATE
    phase = 2 * np.pi * np.cumsum(120 + 20 * np.sin(2 * np.pi * 0.7 * moments)) / _RATE
    which = (moments * 3).astype(int) % 2
    sound = np.zeros_like(moments)
    for harmonic in range(1, 30):
        hertz = 120.0 * harmonic
        levels = [
            sum(1 / (1 + ((hertz - formant) / 120) ** 2) for formant in formants)
            for formants in _FORMANTS_HZ
        ]
        sound += np.array(levels)[which] * np.sin(harmonic * phase)
    sound *= 0.2 + np.abs(np.sin(np.pi * 3 * moments))
    return Waveform((0.5 * sound / np.abs(sound).max()).astype(np.float32), _RATE)
