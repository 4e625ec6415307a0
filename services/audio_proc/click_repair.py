"""Clicks: found where a linear prediction of the sound fails, and filled in by the same.

Godsill and Rayner, "Digital Audio Restoration" (1998), chapters 5 and 6; the filling is the least
squares interpolation of Janssen, Veldhuis and Vries (IEEE TASSP 1986). The pulses of a voice are
surprises to the prediction too: only what stands out among them counts.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, solve_toeplitz
from scipy.ndimage import binary_dilation
from scipy.signal import lfilter

from mynah.audio.speech_activity import mask_runs
from mynah.audio.waveform import Samples

Values = npt.NDArray[np.float64]

_FRAME_S = 0.05
_ORDER = 32
_LEAST_SAMPLES_PER_COEFFICIENT = 8
_LONGEST_S = 0.002
_ABOVE_PULSES = 4.0  # times the 98th percentile of the surprises
_PULSE_PERCENTILE = 98
_ABOVE_NOISE = 12.0  # times their median
_SPREAD = 5  # samples around a surprise that are doubtful too
_LEAST_POWER = 1e-9
_REGULARIZATION = 1e-6


def repair_clicks(channel: Samples, sample_rate: int) -> tuple[Samples, int]:
    """One channel with clicks of up to 2 ms filled in, and how many there were."""
    size = round(_FRAME_S * sample_rate)
    if size < _LEAST_SAMPLES_PER_COEFFICIENT * _ORDER:  # too little sound for a prediction
        return channel, 0
    longest = max(_SPREAD, math.ceil(_LONGEST_S * sample_rate))
    repaired = channel.copy()
    count = 0
    for start in range(0, len(repaired) - size + 1, size // 2):
        part = slice(max(0, start - _ORDER), start + size)
        frame = repaired[part].astype(np.float64)
        if found := _repair_frame(frame, longest):
            repaired[part] = frame  # what one frame repairs, the next one sees
            count += found
    return repaired, count


def _repair_frame(frame: Values, longest: int) -> int:
    """Fill the clicks of a frame in place; how many there were."""
    prediction = _predict(frame)
    if prediction is None:
        return 0
    surprise = np.abs(lfilter(prediction, [1.0], frame)[_ORDER:])
    pulses, noise = np.percentile(surprise, [_PULSE_PERCENTILE, 50])
    is_doubtful = np.zeros(len(frame), bool)
    is_doubtful[_ORDER:] = surprise > max(_ABOVE_PULSES * pulses, _ABOVE_NOISE * noise)
    if not is_doubtful.any():
        return 0
    count = 0
    starts, ends = mask_runs(binary_dilation(is_doubtful, np.ones(_SPREAD, bool)))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if end - start <= longest and start >= _ORDER and end <= len(frame) - _ORDER:
            filled = _interpolate(frame, start, end, prediction)
            if np.abs(filled).max() <= np.abs(frame[start:end]).max():  # a click is louder
                frame[start:end] = filled
                count += 1
    return count


def _predict(frame: Values) -> Values | None:
    """The prediction error filter, ``(order + 1,)``; None for silence."""
    windowed = frame * np.hanning(len(frame))
    lags = [float(windowed[: len(frame) - lag] @ windowed[lag:]) for lag in range(_ORDER + 1)]
    if lags[0] < _LEAST_POWER * len(frame):
        return None
    lags[0] *= 1.0 + _REGULARIZATION
    try:
        coefficients = solve_toeplitz(lags[:-1], lags[1:])
    except LinAlgError:
        return None
    return np.concatenate([[1.0], -coefficients])


def _interpolate(frame: Values, start: int, end: int, prediction: Values) -> Values:
    """The samples from ``start`` to ``end`` that surprise the prediction least."""
    around = frame[start - _ORDER : end + _ORDER]
    rows = len(around) - _ORDER
    system = np.zeros((rows, len(around)))
    for row in range(rows):
        system[row, row : row + _ORDER + 1] = prediction[::-1]
    is_unknown = np.zeros(len(around), bool)
    is_unknown[_ORDER : _ORDER + end - start] = True
    known = -system[:, ~is_unknown] @ around[~is_unknown]
    filled = np.linalg.lstsq(system[:, is_unknown], known, rcond=None)[0]
    return filled.astype(np.float64)
