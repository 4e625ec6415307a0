"""Measure a recording and judge whether a voice can be made from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d
from scipy.signal import stft

from mynah.audio.loudness import measure_loudness, to_db
from mynah.audio.measurements import Grade, Reason, RecordingMeasurements, Severity, Verdict
from mynah.audio.speech_activity import HOP_S, Mask, Powers, SpeechActivity, find_speech
from mynah.audio.waveform import Samples, Waveform

_SILENT_POWER = 10 ** (-60 / 10)
_LEAST_POWER = 10 ** (-100 / 10)  # the level given to digital silence
_MIN_PAUSE_HOPS = 20
_QUIET_PERCENTILE = 2
_FULL_SCALE = 0.999
_FLAT_TOP = 0.98  # of the peak: where a limiter's or converter's plateau lies
_FLAT_STEP = 1.5 / 32768
_FLAT_RUN = 3
_MIN_FLAT_PEAK = 0.05
_BANDWIDTH_BELOW_PEAK = 10 ** (-65 / 10)
_BANDWIDTH_ABOVE_NOISE = 10 ** (3 / 10)
_BANDWIDTH_SMOOTHING_HZ = 250
_MAX_SPECTRUM_S = 60


def analyze_recording(waveform: Waveform) -> RecordingMeasurements:
    """Measure a recording of any rate and channel count.

    SNR is the mean power of speech less that of the pauses over that of the pauses, full band;
    where nobody pauses, the quietest hops of 10 ms stand for the pauses.
    """
    mono = waveform.to_mono()
    activity = find_speech(mono)
    powers = _hop_powers(mono)
    snr_db, floor_dbfs = _noise(powers, activity)
    hops = max(len(powers), 1)
    return RecordingMeasurements(
        duration_s=round(waveform.duration_s, 3),
        sample_rate=waveform.sample_rate,
        channels=waveform.channels,
        loudness_lufs=_rounded(measure_loudness(waveform)),
        peak_dbfs=_rounded(to_db(_peak(waveform.samples))),
        snr_db=_rounded(snr_db),
        noise_floor_dbfs=_rounded(floor_dbfs),
        clipping_share=round(clipping_share(waveform.samples), 6),
        speech_s=round(min(activity.speech_s, waveform.duration_s), 2),
        speech_share=round(float(np.count_nonzero(activity.is_speech)) / hops, 4),
        silence_share=round(float(np.count_nonzero(powers < _SILENT_POWER)) / hops, 4),
        bandwidth_hz=_bandwidth(mono, activity),
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
    is_equal = np.abs(np.diff(channel)) <= _FLAT_STEP
    is_flat = is_equal & (magnitude[1:] >= peak * _FLAT_TOP)
    starts, ends = _runs(is_flat)
    is_long = ends - starts >= _FLAT_RUN - 1  # n equal steps are n + 1 samples
    for start, end in zip(starts[is_long].tolist(), ends[is_long].tolist(), strict=True):
        is_clipped[start : end + 1] = True
    return is_clipped


def _runs(mask: Mask) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Where runs of True begin and end (exclusive)."""
    steps = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    return np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)


def _peak(samples: Samples) -> float:
    return float(np.abs(samples).max(initial=0.0))


def _hop_powers(mono: Waveform) -> Powers:
    """Mean power per hop of 10 ms at the recording's own rate, constant offset removed."""
    if mono.frames == 0:
        return np.zeros(0)
    samples = mono.samples.astype(np.float64)
    squares = np.square(samples - samples.mean())
    edges = np.arange(math.ceil(mono.duration_s / HOP_S)) * HOP_S * mono.sample_rate
    starts = edges.astype(np.intp)
    lengths = np.diff(np.append(starts, mono.frames))
    powers: Powers = np.add.reduceat(squares, starts) / lengths
    return powers


def _noise(powers: Powers, activity: SpeechActivity) -> tuple[float | None, float | None]:
    """SNR in dB and noise floor in dBFS; SNR is None without speech, both without audio."""
    if len(powers) == 0:
        return None, None
    count = min(len(powers), len(activity.is_speech))
    powers, is_speech = powers[:count], activity.is_speech[:count]
    pauses = powers[activity.is_pause()[:count]]
    # Zeros were put there by a machine; the noise between the words is what counts.
    heard = pauses[pauses > _LEAST_POWER]
    if len(heard) >= _MIN_PAUSE_HOPS:
        noise = float(heard.mean())
    else:
        noise = float(np.percentile(powers, _QUIET_PERCENTILE))
    noise = max(noise, _LEAST_POWER)
    floor_dbfs = 10 * math.log10(noise)
    if not is_speech.any():
        return None, floor_dbfs
    signal = max(float(powers[is_speech].mean()) - noise, _LEAST_POWER)
    return 10 * math.log10(signal / noise), floor_dbfs


def _bandwidth(mono: Waveform, activity: SpeechActivity) -> int | None:
    """The highest frequency at which speech stands 3 dB out of the noise.

    Nothing fainter than its own peak less 65 dB counts. None without speech.
    """
    size = 1 << round(math.log2(mono.sample_rate * 0.04))
    samples = mono.samples[: _MAX_SPECTRUM_S * mono.sample_rate]
    if not activity.is_speech.any() or samples.size < size:
        return None
    frequencies, times, bins = stft(samples, mono.sample_rate, nperseg=size, noverlap=0)
    hop = np.minimum((times / HOP_S).astype(int), len(activity.is_speech) - 1)
    power = np.square(np.abs(bins))
    is_speech, is_pause = activity.is_speech[hop], activity.is_pause()[hop]
    if not is_speech.any():
        return None
    width = max(1, round(_BANDWIDTH_SMOOTHING_HZ / float(frequencies[1])))
    spoken = uniform_filter1d(power[:, is_speech].mean(axis=1), width)
    quiet = power[:, is_pause].mean(axis=1) if is_pause.any() else np.zeros_like(spoken)
    stands_out = (spoken > uniform_filter1d(quiet, width) * _BANDWIDTH_ABOVE_NOISE) & (
        spoken > spoken.max() * _BANDWIDTH_BELOW_PEAK
    )
    return int(frequencies[np.flatnonzero(stands_out)[-1]]) if stands_out.any() else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


@dataclass(frozen=True, slots=True)
class _Rule:
    """One thing that can be wrong. ``value`` beyond ``error`` or ``warning`` is worth a reason.

    ``factors`` are (value, factor) points that the score is multiplied with, linear between.
    """

    code: str
    value: float
    is_high_bad: bool
    error: float | None
    error_message: str
    warning: float
    warning_message: str
    factors: tuple[tuple[float, float], ...]

    def reason(self) -> Reason | None:
        """What to say, if anything."""
        sign = 1.0 if self.is_high_bad else -1.0
        if self.error is not None and sign * self.value > sign * self.error:
            return self._as("error", self.error_message)
        if sign * self.value > sign * self.warning:
            return self._as("warning", self.warning_message)
        return None

    def factor(self) -> float:
        """What it leaves of the score, 0–1."""
        values, factors = zip(*self.factors, strict=True)
        return float(np.interp(self.value, values, factors))

    def _as(self, severity: Severity, message: str) -> Reason:
        return Reason(self.code, message, severity)


def judge_recording(measured: RecordingMeasurements) -> Verdict:
    """A verdict in words on the use of a recording for a voice.

    The score is the product of one factor per measure (SNR, seconds and share of speech,
    clipping, level, bandwidth); one error makes the recording unusable and the score 0.
    """
    if measured.loudness_lufs is None or measured.peak_dbfs is None:
        silent = Reason("silent", "The recording is silent.", "error")
        return Verdict(is_usable=False, score=0.0, grade="unusable", reasons=(silent,))
    rules = _rules(measured, measured.loudness_lufs)
    reasons = tuple(reason for rule in rules if (reason := rule.reason()) is not None)
    is_usable = all(reason.severity != "error" for reason in reasons)
    score = round(math.prod(rule.factor() for rule in rules), 3) if is_usable else 0.0
    return Verdict(is_usable, score, _grade(score, is_usable), reasons)


def _rules(measured: RecordingMeasurements, loudness_lufs: float) -> list[_Rule]:
    has_speech = measured.speech_s > 0
    speech = f"{math.floor(measured.speech_s * 10) / 10:.1f} s of speech"
    return [
        _Rule(
            "too_short", measured.speech_s, False,
            3.0, f"There are only {speech}; 3 s are the least.",
            10.0, f"There are {speech}; 10 s or more give a better voice.",
            ((3.0, 0.6), (10.0, 0.9), (30.0, 1.0)),
        ),
        _Rule(
            "little_speech", measured.speech_share, False,
            None, "",
            0.2, "Most of the recording is not speech.",
            ((0.05, 0.7), (0.3, 1.0)),
        ),
        _Rule(
            "noisy", _or(measured.snr_db if has_speech else None, 60.0), False,
            6.0, "The noise is nearly as loud as the speech.",
            20.0, "There is audible noise behind the speech.",
            ((6.0, 0.3), (20.0, 0.8), (35.0, 1.0)),
        ),
        _Rule(
            "clipped", measured.clipping_share, True,
            0.02, "The recording is badly clipped; record at a lower level.",
            0.0005, "Some peaks are clipped; record at a lower level.",
            ((0.0001, 1.0), (0.001, 0.9), (0.02, 0.4)),
        ),
        _Rule(
            "too_quiet", loudness_lufs, False,
            -60.0, "The recording is too quiet to be used.",
            -40.0, "The recording is very quiet.",
            ((-60.0, 0.4), (-40.0, 0.8), (-30.0, 1.0)),
        ),
        _Rule(
            "narrow_bandwidth", _or(measured.bandwidth_hz, 24_000.0), False,
            None, "",
            5000.0, "The sound is as narrow as on the telephone.",
            ((3000.0, 0.6), (5000.0, 0.8), (7500.0, 1.0)),
        ),
    ]  # fmt: skip


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _grade(score: float, is_usable: bool) -> Grade:
    if not is_usable:
        return "unusable"
    for least, grade in _GRADES:
        if score >= least:
            return grade
    return "poor"


_GRADES: tuple[tuple[float, Grade], ...] = ((0.9, "excellent"), (0.75, "good"), (0.5, "fair"))
