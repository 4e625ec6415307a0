"""Noise reduction of speech, the noise learned from the pauses.

The gain per frequency is the one that errs least in the logarithm of the amplitude: Ephraim and
Malah, "Speech enhancement using a minimum mean-square error log-spectral amplitude estimator"
(IEEE TASSP 1985), with their decision-directed estimate of the SNR (1984). It leaves no musical
tones, and it stops at a floor, so that a room still sounds like one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, rfft
from scipy.special import exp1

from mynah.audio.speech_activity import HOP_S, Mask
from mynah.audio.waveform import Samples

Power = npt.NDArray[np.float64]

_WINDOW_S = 0.032
_OVERLAP = 4
_WINDOWS_POWER = 1.5  # of Hann windows squared, overlapping by three quarters
_SMOOTHING = 0.98
_LEAST_PRIOR = 10 ** (-25 / 10)
_MOST_POSTERIOR = 1e3
_LEAST_NOISE = 1e-14
_CHUNK_WINDOWS = 1000
_MIN_NOISE_WINDOWS = 10


@dataclass(frozen=True, slots=True)
class _Frames:
    """How one channel is cut into windows."""

    size: int
    step: int
    shape: Samples
    padded: Samples

    @property
    def count(self) -> int:
        return (len(self.padded) - self.size) // self.step + 1

    def spectra(self, first: int, end: int) -> npt.NDArray[np.complex64]:
        """Of the windows ``first`` to ``end`` (exclusive)."""
        part = self.padded[first * self.step : (end - 1) * self.step + self.size]
        windows = np.lib.stride_tricks.sliding_window_view(part, self.size)[:: self.step]
        spectra: npt.NDArray[np.complex64] = rfft(windows * self.shape, axis=1)
        return spectra


def reduce_noise(
    channel: Samples, sample_rate: int, is_noise: Mask, depth_db: float
) -> Samples | None:
    """One channel with its steady noise turned down, by ``depth_db`` at most.

    ``is_noise``: hops of 10 ms with nothing but noise. None when they are too few to learn from.
    """
    frames = _cut(channel, sample_rate)
    noise = _learn_noise(frames, sample_rate, is_noise)
    if noise is None:
        return None
    least_gain = 10 ** (-depth_db / 20)
    output = np.zeros(len(frames.padded), np.float32)
    speech_power = noise.copy()
    for first in range(0, frames.count, _CHUNK_WINDOWS):
        spectra = frames.spectra(first, min(first + _CHUNK_WINDOWS, frames.count))
        power = np.square(spectra.real) + np.square(spectra.imag)
        for index in range(len(spectra)):
            gain = _gain(power[index], noise, speech_power, least_gain)
            speech_power = np.square(gain) * power[index]
            spectra[index] *= gain
        for index, window in enumerate(irfft(spectra, frames.size, axis=1) * frames.shape):
            start = (first + index) * frames.step
            output[start : start + frames.size] += window
    margin = frames.size
    return output[margin : margin + len(channel)] / np.float32(_WINDOWS_POWER)


def _cut(channel: Samples, sample_rate: int) -> _Frames:
    size = 1 << max(5, round(math.log2(sample_rate * _WINDOW_S)))
    step = size // _OVERLAP
    padded = np.pad(channel, (size, size + -len(channel) % step))
    return _Frames(size, step, np.hanning(size + 1)[:-1].astype(np.float32), padded)


def _learn_noise(frames: _Frames, sample_rate: int, is_noise: Mask) -> Power | None:
    """Mean power per bin of the windows that lie in noise altogether."""
    starts = np.arange(frames.count) * frames.step - frames.size
    first = np.floor(starts / sample_rate / HOP_S).astype(int)
    last = ((starts + frames.size) / sample_rate / HOP_S).astype(int)
    before = np.concatenate([[0], np.cumsum(is_noise)])
    inside = np.clip([first, last + 1], 0, len(is_noise))
    is_quiet = (before[inside[1]] - before[inside[0]]) == last + 1 - first
    chosen = np.flatnonzero(is_quiet)
    if len(chosen) < _MIN_NOISE_WINDOWS:
        return None
    total = np.zeros(frames.size // 2 + 1)
    for index in chosen.tolist():
        total += np.square(np.abs(frames.spectra(index, index + 1)[0]))
    return np.maximum(total / len(chosen), _LEAST_NOISE)


def _gain(power: Samples, noise: Power, speech_power: Power, least_gain: float) -> Power:
    """The gain per bin of one window; ``speech_power`` is what was kept of the one before."""
    posterior = np.minimum(power / noise, _MOST_POSTERIOR)
    now = np.maximum(posterior - 1.0, 0.0)
    prior = np.maximum(_SMOOTHING * speech_power / noise + (1 - _SMOOTHING) * now, _LEAST_PRIOR)
    share = prior / (1.0 + prior)
    gain = share * np.exp(0.5 * exp1(np.maximum(share * posterior, 1e-6)))
    limited: Power = np.clip(gain, least_gain, 1.0)
    return limited
