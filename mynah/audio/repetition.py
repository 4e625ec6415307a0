"""Speech that says the same again and again, found by its similarity to itself.

A segment is turned into short log-mel spectra; where the spectra from one moment on are like
those from a lag later, for twice that lag, something is said three times in direct succession.
After J. Foote, "Visualizing music and audio using self-similarity" (ACM Multimedia 1999).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

from mynah.audio.waveform import Waveform

HOP_S = 0.02
SHORTEST_S, LONGEST_S = 0.6, 6.0  # of the thing that is repeated

_BANDS = 24
_LOWEST_HZ, _HIGHEST_HZ = 80.0, 7000.0
_WINDOW_S = 0.024
_FLOOR = 1e-9
# Mean cosine. Different speech stays below 0.45, "one hundred one, one hundred two" at 0.76.
_SIMILAR = 0.8
_SMOOTHED_FRAMES = 5  # a repetition is never quite in time
_MIN_SOUNDING = 0.5  # share of a repeated stretch that has to sound

Features = npt.NDArray[np.float32]


def log_mel(waveform: Waveform) -> Features:
    """Log power in mel bands every 20 ms of a mono waveform, shape ``(frames, 24)``."""
    rate = waveform.sample_rate
    hop, window = round(rate * HOP_S), round(rate * _WINDOW_S)
    if waveform.frames < window:
        return np.zeros((0, _BANDS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(waveform.samples, window)[::hop]
    taper, weights = _filters(rate, window)
    spectra = np.fft.rfft(frames * taper, axis=1)
    power = np.square(spectra.real) + np.square(spectra.imag)
    return np.asarray(np.log(power @ weights + np.float32(_FLOOR)), np.float32)


def find_repeated_s(mel: Features, is_sounding: npt.NDArray[np.bool_]) -> float:
    """Seconds that say one thing three times or more in direct succession; 0 without such.

    ``is_sounding``: which frames of ``mel`` are not silent, shape ``(frames,)``.
    """
    frames = len(mel)
    unit = _normalised(mel, is_sounding)
    sounding = is_sounding.astype(np.float32)
    longest = 0.0
    for lag in range(round(SHORTEST_S / HOP_S), min(round(LONGEST_S / HOP_S), frames // 3) + 1):
        similarity = np.einsum("ij,ij->i", unit[:-lag], unit[lag:])
        counted = np.maximum(sounding[:-lag], sounding[lag:])
        alike = _runs_alike(similarity, counted, 2 * lag)
        if alike:
            longest = max(longest, (alike + lag) * HOP_S)
    return longest


def _normalised(mel: Features, is_sounding: npt.NDArray[np.bool_]) -> Features:
    """Spectra less the segment's mean and each frame's level, of length 1; silence is 0."""
    if not is_sounding.any():
        return np.zeros_like(mel)
    shape = uniform_filter1d(mel - mel[is_sounding].mean(axis=0), _SMOOTHED_FRAMES, axis=0)
    shape *= is_sounding[:, None]
    lengths = np.linalg.norm(shape, axis=1, keepdims=True) + np.float32(1e-6)
    return np.asarray(shape / lengths, np.float32)


def _runs_alike(similarity: Features, counted: Features, length: int) -> int:
    """Frames of the longest stretch, at least ``length``, that is alike all the way through."""
    if len(similarity) < length:
        return 0
    total = np.concatenate([[0.0], np.cumsum(similarity, dtype=np.float64)])
    weight = np.concatenate([[0.0], np.cumsum(counted, dtype=np.float64)])
    summed, heard = total[length:] - total[:-length], weight[length:] - weight[:-length]
    is_alike = (summed > _SIMILAR * heard) & (heard >= _MIN_SOUNDING * length)
    if not is_alike.any():
        return 0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_alike.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max()) - 1 + length


@lru_cache(maxsize=8)
def _filters(rate: int, window: int) -> tuple[Features, Features]:
    """A window, and triangles of equal width on the mel scale, shape ``(bins, bands)``."""
    highest = min(_HIGHEST_HZ, 0.45 * rate)
    mel = np.linspace(_to_mel(_LOWEST_HZ), _to_mel(highest), _BANDS + 2)
    edges = 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    bins = np.fft.rfftfreq(window, 1 / rate)[:, None]
    rising = (bins - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins) / np.diff(edges)[1:]
    # A low band may hold no bin: it takes the nearest one.
    weights = np.maximum(0.0, np.minimum(rising, falling))
    nearest = np.abs(bins - edges[1:-1]).argmin(axis=0)
    weights[nearest, np.arange(_BANDS)] = np.maximum(weights[nearest, np.arange(_BANDS)], 0.5)
    return np.hanning(window).astype(np.float32), weights.astype(np.float32)


def _to_mel(hz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hz / 700.0))
