"""Where somebody speaks: speech activity by energy and spectrum, without a trained model.

Each band of the spectrum is compared with its own noise floor, as in Sohn, Kim and Sung, "A
statistical model-based voice activity detection" (IEEE SPL 1999): speech stands far out of the
noise in some bands even where the sum of all bands hardly rises. Stationary sound (hum, hiss, a
tone) is noise. Music and other voices count as speech.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_closing, binary_dilation, binary_opening, uniform_filter1d

from mynah.audio.resample import resample
from mynah.audio.waveform import Waveform

HOP_S = 0.01

_RATE = 16_000
_HOP = 160
_WINDOW = 512
_CHUNK_HOPS = 3000  # bounds the memory of the spectra
_BANDS = 24
_LOWEST_HZ, _HIGHEST_HZ = 100.0, 7600.0
_FLOOR_PERCENTILE = 15
_POWER_FLOOR = 1e-10  # per band, relative to full scale: below 16-bit quantisation
_THRESHOLD = 0.5  # of the mean log likelihood ratio; noise alone stays below 0.25
_BELOW_LOUD = 10 ** (-40 / 10)  # fainter than this against the loud parts is not speech
_QUIETEST_POWER = 10 ** (-65 / 10)
_MIN_NOISE_HOPS = 30
_BRIDGED_HOPS = 15  # gaps between syllables belong to speech
_SHORTEST_HOPS = 4  # clicks do not
_MARGIN_HOPS = 3  # onsets and tails

Powers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SpeechActivity:
    """``is_speech``: one value per hop of 10 ms, shape ``(hops,)``."""

    is_speech: Mask

    @property
    def speech_s(self) -> float:
        """Seconds of speech, the gaps between syllables included."""
        return float(np.count_nonzero(self.is_speech)) * HOP_S

    def is_pause(self, margin_s: float = 0.05) -> Mask:
        """Hops that lie at least ``margin_s`` away from speech."""
        reach = round(margin_s / HOP_S)
        return ~binary_dilation(self.is_speech, np.ones(2 * reach + 1, bool))


def find_speech(waveform: Waveform) -> SpeechActivity:
    """Speech activity of a mono waveform of any rate."""
    bands, powers = _band_powers(resample(waveform, _RATE))
    is_speech = np.zeros(len(powers), bool)
    heard = np.flatnonzero(powers > 0)
    if len(heard) == 0:
        return SpeechActivity(is_speech)
    # Digital silence before and after says nothing about the noise of the recording.
    inner = slice(int(heard[0]), int(heard[-1]) + 1)
    is_speech[inner] = _classify(bands[inner], powers[inner])
    return SpeechActivity(is_speech)


def _classify(bands: Powers, powers: Powers) -> Mask:
    """Two passes: a floor by percentile finds the pauses, their mean is the better floor."""
    smoothed = uniform_filter1d(bands, 5, axis=0)
    floor = np.percentile(smoothed, _FLOOR_PERCENTILE, axis=0)
    is_loud_enough = powers > max(float(np.percentile(powers, 95)) * _BELOW_LOUD, _QUIETEST_POWER)
    is_speech = _stands_out(bands, floor) & is_loud_enough
    is_noise = ~binary_dilation(is_speech, np.ones(11, bool))
    if np.count_nonzero(is_noise) >= _MIN_NOISE_HOPS:
        is_speech = _stands_out(bands, bands[is_noise].mean(axis=0)) & is_loud_enough
    is_speech = binary_opening(is_speech, np.ones(_SHORTEST_HOPS, bool))
    padded = np.pad(is_speech, _BRIDGED_HOPS)
    closed = binary_closing(padded, np.ones(_BRIDGED_HOPS, bool))[_BRIDGED_HOPS:-_BRIDGED_HOPS]
    widened: Mask = binary_dilation(closed, np.ones(2 * _MARGIN_HOPS + 1, bool))
    return widened


def _stands_out(bands: Powers, floor: Powers) -> Mask:
    """Where the bands' mean log likelihood ratio of speech against noise is high."""
    ratio = np.maximum(bands / np.maximum(floor, _POWER_FLOOR), 1.0)
    likelihood = uniform_filter1d((ratio - 1.0 - np.log(ratio)).mean(axis=1), 5)
    return likelihood > _THRESHOLD


def _band_powers(waveform: Waveform) -> tuple[Powers, Powers]:
    """Mean power per hop and band, ``(hops, bands)``, and of the whole hop, ``(hops,)``."""
    hops = -(-waveform.frames // _HOP)
    padded = np.zeros(hops * _HOP + _WINDOW, np.float32)
    start = (_WINDOW - _HOP) // 2  # a window is centred on its hop
    padded[start : start + waveform.frames] = waveform.samples
    window = np.hanning(_WINDOW).astype(np.float32)
    weights = _band_weights() / float(np.square(window).sum() * _WINDOW / 2)
    bands = np.empty((hops, _BANDS))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][:hops]
    for first in range(0, hops, _CHUNK_HOPS):
        spectra = np.fft.rfft(frames[first : first + _CHUNK_HOPS] * window, axis=1)
        power = np.square(spectra.real) + np.square(spectra.imag)
        bands[first : first + _CHUNK_HOPS] = power @ weights
    centres = padded[start : start + hops * _HOP].reshape(hops, _HOP)
    return bands, np.square(centres.astype(np.float64)).mean(axis=1)


def _band_weights() -> Powers:
    """Rectangular bands of equal width on the mel scale, shape ``(bins, bands)``."""
    mel = np.linspace(_to_mel(_LOWEST_HZ), _to_mel(_HIGHEST_HZ), _BANDS + 1)
    edges = 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    bins = np.arange(_WINDOW // 2 + 1) * _RATE / _WINDOW
    is_inside = (bins[:, None] >= edges[:-1]) & (bins[:, None] < edges[1:])
    return is_inside.astype(np.float64)


def _to_mel(hz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hz / 700.0))
