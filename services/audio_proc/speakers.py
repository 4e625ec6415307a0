"""Whether one person speaks or more, by the pitch and timbre of stretches of the speech.

Stretches with a second or more of voiced sound get their median pitch and mean cepstrum; where
two groups of stretches lie far apart against their own spread, there are two voices. It tells
a man from a woman or a child; it cannot tell two voices of like pitch and timbre, and a change
of microphone looks like a change of voice to it.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.fft import dct, irfft, rfft

from mynah.audio.measurements import Speakers
from mynah.audio.resample import resample
from mynah.audio.speech_activity import SpeechActivity
from mynah.audio.waveform import Samples, Waveform

Features = npt.NDArray[np.float64]

_RATE = 16_000
_HOP = 160
_WINDOW = 800  # 50 ms: three periods of a deep voice
_TRANSFORM = 1280
_BANDS, _CEPSTRA = 24, 12
_LOWEST_HZ, _HIGHEST_HZ = 100.0, 7000.0
_SHORTEST_LAG, _LONGEST_LAG = _RATE // 400, _RATE // 60
_VOICED = 0.6  # of the autocorrelation's peak
_FAINT_SHARE = 0.05  # of the median power of speech
_FRAMES = 120  # voiced frames per stretch
_MIN_STRETCHES = 4
_MAX_STRETCHES = 48  # evenly over the recording: more tell no more
_ROUNDS = 20
# Of the spread that the grouping explains, and of the groups' distance in units of the spread
# within a stretch: one eSpeak voice gives up to 0.36 and 1.0, a man and a woman from 0.89 and 3.9,
# voices of like pitch and another timbre something between.
_TWO_EXPLAINED, _TWO_DISTANCE = 0.6, 2.0
_ONE_EXPLAINED, _ONE_DISTANCE = 0.45, 1.2


def count_speakers(mono: Waveform, activity: SpeechActivity) -> Speakers | None:
    """How many voices are heard; None when there is too little speech or no telling."""
    speech = resample(mono, _RATE).samples
    stretches = [
        found
        for begin, end in _spread_out(activity)
        if (found := _describe(speech[begin * _HOP : end * _HOP])) is not None
    ]
    if len(stretches) < _MIN_STRETCHES:
        return None
    means, spreads = (np.array(part) for part in zip(*stretches, strict=True))
    explained, distance = _split(means / np.maximum(spreads.mean(axis=0), 1e-6))
    if explained >= _TWO_EXPLAINED and distance >= _TWO_DISTANCE:
        return "2 or more"
    if explained <= _ONE_EXPLAINED or distance <= _ONE_DISTANCE:
        return "1"
    return None


def _spread_out(activity: SpeechActivity) -> list[tuple[int, int]]:
    """Parts of the speech in hops, each of about two seconds, not too many."""
    parts: list[tuple[int, int]] = []
    for begin, end in activity.stretches():
        count = max(1, (end - begin) // (2 * _FRAMES))
        edges = np.linspace(begin, end, count + 1).astype(int).tolist()
        parts.extend(pairwise(edges))
    chosen = np.linspace(0, len(parts) - 1, min(len(parts), _MAX_STRETCHES)).astype(int)
    return [parts[index] for index in chosen.tolist()]


def _describe(speech: Samples) -> tuple[Features, Features] | None:
    """Pitch in octaves and cepstrum, ``(1 + cepstra,)``: their middle and their spread."""
    if len(speech) < _WINDOW + _HOP:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(speech, _WINDOW)[::_HOP]
    power = np.square(windows).mean(axis=1)
    octaves, voicing = _pitch(windows)
    is_voiced = (voicing > _VOICED) & (power > _FAINT_SHARE * np.median(power))
    if np.count_nonzero(is_voiced) < _FRAMES // 2:
        return None
    features = np.column_stack([octaves[is_voiced], _cepstra(windows[is_voiced])])
    middle = features.mean(axis=0)
    middle[0] = np.median(features[:, 0])
    return middle, features.std(axis=0)


def _pitch(windows: Samples) -> tuple[Features, Features]:
    """log2 of the pitch in Hz and how periodic it is (0–1), per window, by autocorrelation.

    Divided by the autocorrelation of the window, after Boersma, "Accurate short-term analysis
    of the fundamental frequency" (IFA Proceedings 1993).
    """
    shape = np.hanning(_WINDOW)
    centred = (windows - windows.mean(axis=1, keepdims=True)) * shape
    correlation = irfft(np.square(np.abs(rfft(centred, _TRANSFORM, axis=1))), axis=1)
    own = irfft(np.square(np.abs(rfft(shape, _TRANSFORM))))
    lags = slice(_SHORTEST_LAG, _LONGEST_LAG)
    ratio = correlation[:, lags] / np.maximum(correlation[:, :1], 1e-12) / (own[lags] / own[0])
    best = ratio.argmax(axis=1)
    return np.log2(_RATE / (best + _SHORTEST_LAG)), ratio.max(axis=1)


def _cepstra(windows: Samples) -> Features:
    power = np.square(np.abs(rfft(windows * np.hanning(_WINDOW), axis=1)))
    logs = np.log(power @ _mel_filters() + 1e-9)
    cepstra: Features = dct(logs, axis=1, norm="ortho")[:, 1 : _CEPSTRA + 1]
    return cepstra


def _mel_filters() -> Features:
    """Triangles evenly on the mel scale, shape ``(bins, bands)``."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (_LOWEST_HZ, _HIGHEST_HZ))
    edges = 700 * (10 ** (np.linspace(low, high, _BANDS + 2) / 2595) - 1)
    bins = (np.arange(_WINDOW // 2 + 1) * _RATE / _WINDOW)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(rising, falling), 0.0, None)


def _split(points: Features) -> tuple[float, float]:
    """Two groups by k-means: the share of the spread that they explain, and their distance.

    It begins at the sign of the first principal component. A group of one is no group.
    """
    centred = points - points.mean(axis=0)
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    is_second = centred @ axis > 0
    for _ in range(_ROUNDS):
        if min(np.count_nonzero(is_second), np.count_nonzero(~is_second)) < 2:
            return 0.0, 0.0
        centres = np.stack([points[~is_second].mean(axis=0), points[is_second].mean(axis=0)])
        distances = np.square(points[:, None] - centres).sum(axis=2)
        is_second = distances[:, 1] < distances[:, 0]
    within = distances.min(axis=1).sum()
    explained = 1.0 - float(within / max(np.square(centred).sum(), 1e-12))
    return explained, float(np.linalg.norm(centres[0] - centres[1]))
