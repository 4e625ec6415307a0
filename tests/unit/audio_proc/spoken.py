"""Speech for tests of what listens to it: eSpeak's sentences with pauses, in rooms, in noise."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, oaconvolve, sosfilt

from mynah.audio.resample import resample
from mynah.audio.waveform import Samples, Waveform
from mynah.engines.base import SynthesisSettings
from mynah.engines.espeak.engine import EspeakEngine

SENTENCES = (
    "The quick brown fox jumps over the lazy dog, while five big zephyrs jolt my wax bed.",
    "In the garden the children were laughing, and far away a train went by.",
    "Once upon a time there was a king, and he had three sons.",
    "The eldest was wise, the second was strong; but the youngest could listen.",
    "What shall we do, said the sons, when the night comes down from the hills?",
    "Nobody knew where he came from, and nobody asked him.",
)
MAN, WOMAN, OTHER_MAN = "en-us", "en-us+f3", "en-us+m7"
RMS = 0.1

Mask = npt.NDArray[np.bool_]


@lru_cache(maxsize=64)
def sentence(text: str, voice: str, sample_rate: int) -> Samples:
    """One sentence without silence around it."""
    engine = EspeakEngine()
    blocks = engine.synthesize(text, engine.builtin_profile(voice, "en"), SynthesisSettings())
    joined = np.concatenate([block.waveform.samples for block in blocks])
    samples = resample(Waveform(joined, engine.info.sample_rate), sample_rate).samples
    heard = np.flatnonzero(np.abs(samples) > 1e-3)
    return samples[heard[0] : heard[-1] + 1]


@lru_cache(maxsize=16)
def spoken(
    voices: tuple[str, ...] = (MAN,), sample_rate: int = 16_000, pause_s: float = 0.6
) -> tuple[Waveform, Mask]:
    """All sentences, each with its pause, the voices in turn; and where somebody speaks.

    Pauses are digital silence. RMS while speaking: 0.1.
    """
    pause = np.zeros(round(pause_s * sample_rate), np.float32)
    parts, marks = [pause], [pause > 1]
    for number, text in enumerate(SENTENCES):
        said = sentence(text, voices[number % len(voices)], sample_rate)
        said = said * np.float32(RMS / np.sqrt(np.mean(np.square(said))))
        parts += [said, pause]
        marks += [np.ones(len(said), bool), pause > 1]
    samples, is_speech = np.concatenate(parts), np.concatenate(marks)
    samples.flags.writeable = is_speech.flags.writeable = False  # the arrays are shared
    return Waveform(samples, sample_rate), is_speech


def noisy(speech: Waveform, snr_db: float, colour: str = "white") -> Waveform:
    """Steady noise added, ``snr_db`` below the speech: white, pink (low) or hum."""
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(speech.frames)
    if colour == "pink":
        noise = sosfilt(butter(1, 200, fs=speech.sample_rate, output="sos"), noise)
    if colour == "hum":
        turns = 2 * np.pi * np.arange(speech.frames) / speech.sample_rate
        noise = np.sin(50 * turns) + 0.3 * np.sin(150 * turns)
    noise *= RMS / 10 ** (snr_db / 20) / np.sqrt(np.mean(np.square(noise)))
    return Waveform((speech.samples + noise).astype(np.float32), speech.sample_rate)


def in_room(speech: Waveform, rt60_s: float, direct_db: float = 0.0) -> Waveform:
    """The speech in a room that dies away exponentially; ``direct_db`` above its echoes."""
    times = np.arange(int(speech.sample_rate * rt60_s * 1.3)) / speech.sample_rate
    echoes = np.random.default_rng(1).standard_normal(len(times)) * 10 ** (-3 * times / rt60_s)
    echoes[: int(0.002 * speech.sample_rate)] = 0
    echoes *= 10 ** (-direct_db / 20) / np.sqrt(np.square(echoes).sum())
    echoes[0] = 1.0
    reverberant = oaconvolve(speech.samples.astype(np.float64), echoes)
    return Waveform(reverberant.astype(np.float32), speech.sample_rate)
