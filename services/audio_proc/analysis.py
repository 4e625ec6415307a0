"""Measure a recording: level, noise, speech, clipping, bandwidth; and in depth what takes longer.

``analyze_recording`` is what every upload gets. ``analyze_in_depth`` adds true peak, loudness
range, reverberation, speakers and the spectrum, and keeps what pictures are made from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mynah.audio.loudness import LoudnessMeter, to_db, true_peak
from mynah.audio.measurements import DepthMeasurements, RecordingMeasurements
from mynah.audio.speech_activity import HOP_S, Mask, Powers, SpeechActivity, find_speech, mask_runs
from mynah.audio.waveform import Samples, Waveform
from services.audio_proc.reverberation import estimate_rt60
from services.audio_proc.speakers import count_speakers
from services.audio_proc.spectrum import (
    SpectrumSurvey,
    band_levels,
    find_bandwidth,
    survey_spectrum,
)

_SILENT_POWER = 10 ** (-60 / 10)
_LEAST_POWER = 10 ** (-100 / 10)  # the level given to digital silence
_MIN_PAUSE_HOPS = 20
_NOISE_BURST = 10 ** (10 / 10)  # above the pauses' median: a missed word, or a door
_QUIET_PERCENTILE = 2
_FULL_SCALE = 0.999
_FLAT_TOP = 0.98  # of the peak: where a limiter's or converter's plateau lies
_FLAT_STEP = 1.5 / 32768
_FLAT_RUN = 3
_MIN_FLAT_PEAK = 0.05
_CHUNK_HOPS = 10_000  # bounds the memory of the sums


@dataclass(frozen=True, slots=True)
class DepthAnalysis:
    """All measures of a recording, and its spectrum over time (None when it is too short)."""

    recording: RecordingMeasurements
    depth: DepthMeasurements
    survey: SpectrumSurvey | None


def analyze_recording(waveform: Waveform) -> RecordingMeasurements:
    """Measure a recording of any rate and channel count.

    SNR is the mean power of speech less that of the pauses over that of the pauses, full band;
    where nobody pauses, the quietest hops of 10 ms stand for the pauses.
    """
    mono = waveform.to_mono()
    activity = find_speech(mono)
    meter = meter_loudness(waveform)
    return _measure(waveform, mono, activity, survey_spectrum(mono, activity), meter)


def analyze_in_depth(waveform: Waveform, columns: int = 1) -> DepthAnalysis:
    """Measure everything; the spectrum over time comes in ``columns`` parts."""
    mono = waveform.to_mono()
    activity = find_speech(mono)
    survey = survey_spectrum(mono, activity, columns)
    meter = meter_loudness(waveform)
    recording = _measure(waveform, mono, activity, survey, meter)
    depth = DepthMeasurements(
        true_peak_dbtp=_rounded(to_db(true_peak(waveform.samples))),
        loudness_range_lu=_rounded(meter.loudness_range_lu()),
        rt60_s=_rounded(estimate_rt60(mono) if activity.is_speech.any() else None),
        speakers=count_speakers(mono, activity),
        bands=() if survey is None else band_levels(survey),
    )
    return DepthAnalysis(recording, depth, survey)


def meter_loudness(waveform: Waveform) -> LoudnessMeter:
    """A meter that has heard the whole recording, block by block."""
    meter = LoudnessMeter(waveform.sample_rate, waveform.channels)
    block = waveform.sample_rate * 10
    for start in range(0, waveform.frames, block):
        meter.add(Waveform(waveform.samples[..., start : start + block], waveform.sample_rate))
    return meter


def _measure(
    waveform: Waveform,
    mono: Waveform,
    activity: SpeechActivity,
    survey: SpectrumSurvey | None,
    meter: LoudnessMeter,
) -> RecordingMeasurements:
    powers = hop_powers(mono)
    snr_db, floor_dbfs = _noise(powers, activity)
    hops = max(len(powers), 1)
    return RecordingMeasurements(
        duration_s=round(waveform.duration_s, 3),
        sample_rate=waveform.sample_rate,
        channels=waveform.channels,
        loudness_lufs=_rounded(meter.loudness_lufs()),
        peak_dbfs=_rounded(to_db(float(np.abs(waveform.samples).max(initial=0.0)))),
        snr_db=_rounded(snr_db),
        noise_floor_dbfs=_rounded(floor_dbfs),
        clipping_share=round(clipping_share(waveform.samples), 6),
        speech_s=round(min(activity.speech_s, waveform.duration_s), 2),
        speech_share=round(float(np.count_nonzero(activity.is_speech)) / hops, 4),
        silence_share=round(float(np.count_nonzero(powers < _SILENT_POWER)) / hops, 4),
        bandwidth_hz=None if survey is None else find_bandwidth(survey),
    )


def clipping_share(samples: Samples) -> float:
    """The share of samples, 0–1, that a converter or a limiter has cut off.

    Counted are samples at full scale, and flat tops below it (a clipped recording that was
    turned down later): runs of three or more equal samples within 2 % of the channel's peak.
    """
    channels = np.atleast_2d(samples)
    if channels.shape[1] == 0:
        return 0.0
    return float(np.mean([_clipped(channel).mean() for channel in channels]))


def _clipped(channel: Samples) -> Mask:
    magnitude = np.abs(channel)
    is_clipped: Mask = magnitude >= _FULL_SCALE
    peak = float(magnitude.max())
    if peak < _MIN_FLAT_PEAK:
        return is_clipped
    near_peak = np.flatnonzero(magnitude[1:] >= peak * _FLAT_TOP)
    is_flat = np.zeros(len(channel) - 1, bool)
    is_flat[near_peak] = np.abs(channel[near_peak + 1] - channel[near_peak]) <= _FLAT_STEP
    starts, ends = mask_runs(is_flat)
    is_long = ends - starts >= _FLAT_RUN - 1  # n equal steps are n + 1 samples
    for start, end in zip(starts[is_long].tolist(), ends[is_long].tolist(), strict=True):
        is_clipped[start : end + 1] = True
    return is_clipped


def hop_powers(mono: Waveform) -> Powers:
    """Mean power per hop of 10 ms at the recording's own rate, constant offset removed."""
    if mono.frames == 0:
        return np.zeros(0)
    offset = float(mono.samples.mean(dtype=np.float64))
    edges = np.arange(math.ceil(mono.duration_s / HOP_S) + 1) * HOP_S * mono.sample_rate
    bounds = np.minimum(edges.astype(np.intp), mono.frames)
    bounds = bounds[: int(np.searchsorted(bounds, mono.frames)) + 1]
    powers: Powers = np.zeros(len(bounds) - 1)
    for first in range(0, len(powers), _CHUNK_HOPS):
        part = bounds[first : first + _CHUNK_HOPS + 1]
        squares = np.square(mono.samples[part[0] : part[-1]].astype(np.float64) - offset)
        powers[first : first + _CHUNK_HOPS] = np.add.reduceat(squares, part[:-1] - part[0])
    return powers / np.diff(bounds)


def steady_pauses(powers: Powers, activity: SpeechActivity) -> Mask:
    """Hops in which only the steady noise is heard: pauses without digital silence or bursts."""
    count = min(len(powers), len(activity.is_speech))
    powers, is_pause = powers[:count], activity.is_pause()[:count]
    # Zeros were put there by a machine; the noise between the words is what counts.
    is_heard: Mask = is_pause & (powers > _LEAST_POWER)
    if is_heard.any():
        is_heard &= powers < float(np.median(powers[is_heard])) * _NOISE_BURST
    return is_heard


def _noise(powers: Powers, activity: SpeechActivity) -> tuple[float | None, float | None]:
    """SNR in dB and noise floor in dBFS; SNR is None without speech, both without audio."""
    if len(powers) == 0:
        return None, None
    is_steady = steady_pauses(powers, activity)
    powers, is_speech = powers[: len(is_steady)], activity.is_speech[: len(is_steady)]
    if np.count_nonzero(is_steady) >= _MIN_PAUSE_HOPS:
        noise = float(powers[is_steady].mean())
    else:
        noise = float(np.percentile(powers, _QUIET_PERCENTILE))
    noise = max(noise, _LEAST_POWER)
    floor_dbfs = 10 * math.log10(noise)
    if not is_speech.any():
        return None, floor_dbfs
    signal = max(float(powers[is_speech].mean()) - noise, _LEAST_POWER)
    return 10 * math.log10(signal / noise), floor_dbfs


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
