"""The long-term spectrum of a recording: bands, bandwidth, and the columns of a spectrogram.

One pass over the recording in chunks gathers all three.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.fft import rfft
from scipy.ndimage import uniform_filter1d

from mynah.audio.measurements import BandLevel
from mynah.audio.speech_activity import HOP_S, SpeechActivity
from mynah.audio.waveform import Samples, Waveform

Power = npt.NDArray[np.float64]

_WINDOW_S = 0.04
_CHUNK_SAMPLES = 1 << 21  # bounds the memory of the windows
_LEAST_STEP_SHARE = 8  # windows overlap by 7/8 at most
_BELOW_PEAK = 10 ** (-65 / 10)
_ABOVE_NOISE = 10 ** (3 / 10)
_SMOOTHING_HZ = 250
_LOWEST_BAND, _HIGHEST_BAND = -12, 13  # thirds of an octave from 1 kHz: 63 Hz to 20 kHz
_NOMINAL = (10, 12.5, 16, 20, 25, 31.5, 40, 50, 63, 80)
_LEAST_BAND_POWER = 1e-14


@dataclass(frozen=True, slots=True)
class SpectrumSurvey:
    """Mean power per frequency, as mean square: the sum over all bins is that of the signal.

    ``speech`` and ``pauses`` have shape ``(bins,)`` and are None where there are none;
    ``columns`` has ``(columns, bins)``, evenly over the recording's time.
    """

    frequencies: Power
    everything: Power
    speech: Power | None
    pauses: Power | None
    columns: npt.NDArray[np.float32]


def survey_spectrum(
    mono: Waveform, activity: SpeechActivity, columns: int = 1
) -> SpectrumSurvey | None:
    """The spectrum of a mono recording; None when it is shorter than one window of 40 ms."""
    size = 1 << round(math.log2(mono.sample_rate * _WINDOW_S))
    if mono.frames < size or len(activity.is_speech) == 0:
        return None
    step = min(size, max(size // _LEAST_STEP_SHARE, mono.frames // columns))
    count = (mono.frames - size) // step + 1
    centres_s = (np.arange(count) * step + size / 2) / mono.sample_rate
    hops = np.minimum((centres_s / HOP_S).astype(int), len(activity.is_speech) - 1)
    kinds = np.stack([activity.is_speech[hops], activity.is_pause()[hops], np.ones(count, bool)])
    totals = kinds.sum(axis=1)
    sums = np.zeros((len(kinds), size // 2 + 1))
    shown = min(columns, count)
    picture = np.zeros((shown, size // 2 + 1), np.float32)
    column_of = np.arange(count) * shown // count
    per_chunk = max(1, _CHUNK_SAMPLES // size)
    for first in range(0, count, per_chunk):
        chunk = slice(first, min(first + per_chunk, count))
        power = _power(mono.samples, size, step, chunk)
        sums += kinds[:, chunk].astype(np.float32) @ power
        starts = np.flatnonzero(np.diff(column_of[chunk], prepend=-1))
        picture[column_of[chunk][starts]] += np.add.reduceat(power, starts, axis=0)
    picture /= np.bincount(column_of, minlength=shown)[:, None]
    return SpectrumSurvey(
        frequencies=np.arange(size // 2 + 1) * mono.sample_rate / size,
        everything=sums[2] / count,
        speech=sums[0] / totals[0] if totals[0] else None,
        pauses=sums[1] / totals[1] if totals[1] else None,
        columns=picture,
    )


def _power(samples: Samples, size: int, step: int, chunk: slice) -> npt.NDArray[np.float32]:
    """Power per window and bin of the windows in ``chunk``, offset removed."""
    begin, end = chunk.start * step, (chunk.stop - 1) * step + size
    windows = np.lib.stride_tricks.sliding_window_view(samples[begin:end], size)[::step]
    shape = np.hanning(size + 1)[:-1].astype(np.float32)
    bins = rfft((windows - windows.mean(axis=1, keepdims=True)) * shape, axis=1)
    scale = np.float32(2.0 / (size * float(np.square(shape).sum())))
    power: npt.NDArray[np.float32] = (np.square(bins.real) + np.square(bins.imag)) * scale
    return power


def find_bandwidth(survey: SpectrumSurvey) -> int | None:
    """The highest frequency in Hz at which speech stands 3 dB out of the noise.

    Nothing fainter than its own peak less 65 dB counts. None without speech.
    """
    if survey.speech is None:
        return None
    width = max(1, round(_SMOOTHING_HZ / float(survey.frequencies[1])))
    spoken = uniform_filter1d(survey.speech, width)
    quiet = np.zeros_like(spoken) if survey.pauses is None else survey.pauses
    stands_out = (spoken > uniform_filter1d(quiet, width) * _ABOVE_NOISE) & (
        spoken > spoken.max() * _BELOW_PEAK
    )
    return int(survey.frequencies[np.flatnonzero(stands_out)[-1]]) if stands_out.any() else None


def band_levels(survey: SpectrumSurvey) -> tuple[BandLevel, ...]:
    """Levels in thirds of an octave (IEC 61260 base ten), of the speech where there is any.

    Below 200 Hz the bands are narrower than what a window of 40 ms tells apart: neighbours share.
    """
    power = survey.everything if survey.speech is None else survey.speech
    spacing = float(survey.frequencies[1])
    # The power below each frequency; a bin's power lies evenly around its frequency.
    edges = np.append(survey.frequencies - spacing / 2, survey.frequencies[-1] + spacing / 2)
    below = np.concatenate([[0.0], np.cumsum(power)])
    levels = []
    for third in range(_LOWEST_BAND, _HIGHEST_BAND + 1):
        centre = 1000.0 * 10 ** (third / 10)
        low, high = centre * 10**-0.05, centre * 10**0.05
        if high > survey.frequencies[-1]:
            break
        inside = float(np.diff(np.interp([low, high], edges, below))[0])
        level_dbfs = round(10 * math.log10(max(inside, _LEAST_BAND_POWER)), 1)
        levels.append(BandLevel(_nominal(centre), level_dbfs))
    return tuple(levels)


def _nominal(hz: float) -> int:
    """The frequency by which a band is called: two digits, as 1250 or 63."""
    decade = 10.0 ** math.floor(math.log10(hz * 1.02) - 1)
    nearest = min(_NOMINAL, key=lambda one: abs(one - hz / decade))
    return round(nearest * decade)
