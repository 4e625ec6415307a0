"""Speech as WORLD's parameters: pitch, spectral envelope, aperiodicity, every 5 ms.

Source: M. Morise, F. Yokomori, K. Ozawa, "WORLD: a vocoder-based high-quality speech synthesis
system for real-time applications", IEICE Trans. Inf. & Syst., 2016.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyworld

from mynah.audio.waveform import Waveform

Array = npt.NDArray[np.float64]

FRAME_MS = 5.0
CEPSTRUM_SIZE = 40  # mel-cepstral coefficients, the first of which is the level
_F0_FLOOR, _F0_CEIL = 65.0, 600.0
_SPEECH_RANGE_NEPERS = 6.0  # of log power: quieter frames than this below the loud are pauses


@dataclass(frozen=True, slots=True)
class Speech:
    """WORLD parameters: ``f0`` (frames,) in Hz, 0 = unvoiced; ``envelope`` (frames, bins) power
    spectrum; ``aperiodicity`` (frames, bins) 0–1."""

    f0: Array
    envelope: Array
    aperiodicity: Array
    sample_rate: int

    @property
    def voiced(self) -> npt.NDArray[np.bool_]:
        """Which frames have a pitch, shape ``(frames,)``."""
        return self.f0 > 0

    def is_speech(self) -> npt.NDArray[np.bool_]:
        """Which frames are not pauses, shape ``(frames,)``."""
        level = np.log(self.envelope.mean(axis=1))
        spoken: npt.NDArray[np.bool_] = level > np.percentile(level, 95) - _SPEECH_RANGE_NEPERS
        return spoken


def analyze(waveform: Waveform) -> Speech:
    """WORLD analysis of mono speech."""
    f0, envelope, times = pitch_and_envelope(waveform)
    samples = waveform.samples.astype(np.float64)
    aperiodicity = pyworld.d4c(samples, f0, times, waveform.sample_rate)
    return Speech(f0, envelope, aperiodicity, waveform.sample_rate)


def pitch_and_envelope(waveform: Waveform) -> tuple[Array, Array, Array]:
    """F0 (frames,) in Hz, power spectra (frames, bins) and the frames' times in seconds."""
    samples = waveform.samples.astype(np.float64)
    rate = waveform.sample_rate
    rough, times = pyworld.dio(
        samples, rate, f0_floor=_F0_FLOOR, f0_ceil=_F0_CEIL, frame_period=FRAME_MS
    )
    f0 = pyworld.stonemask(samples, rough, times, rate)
    envelope = pyworld.cheaptrick(samples, f0, times, rate)
    return f0, envelope, times


def resynthesize(speech: Speech) -> Waveform:
    """Mono speech of WORLD parameters."""
    samples = pyworld.synthesize(
        np.ascontiguousarray(speech.f0),
        np.ascontiguousarray(speech.envelope),
        np.ascontiguousarray(speech.aperiodicity),
        speech.sample_rate,
        FRAME_MS,
    )
    return Waveform(samples.astype(np.float32), speech.sample_rate)


def to_cepstra(envelope: Array, sample_rate: int) -> Array:
    """Mel-cepstra of power spectra: (frames, bins) -> (frames, CEPSTRUM_SIZE)."""
    contiguous = np.ascontiguousarray(envelope)
    cepstra: Array = pyworld.code_spectral_envelope(contiguous, sample_rate, CEPSTRUM_SIZE)
    return cepstra


def to_envelope(cepstra: Array, sample_rate: int, bins: int) -> Array:
    """The power spectra of mel-cepstra: the inverse of ``to_cepstra``, smoothed."""
    contiguous = np.ascontiguousarray(cepstra)
    envelope: Array = pyworld.decode_spectral_envelope(contiguous, sample_rate, (bins - 1) * 2)
    return envelope
