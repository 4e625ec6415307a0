"""Measure a recording and judge whether a voice can be made from it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.signal import stft

from mynah.audio.loudness import LoudnessMeter, to_db
from mynah.audio.measurements import Grade, Reason, RecordingMeasurements, Severity, Verdict
from mynah.audio.resample import resample
from mynah.audio.waveform import Samples, Waveform

_ANALYSIS_RATE = 16_000
_FRAME_S = 0.02
_SILENCE_DBFS = -60.0
_FULL_SCALE = 0.999
_SPEECH_ABOVE_NOISE_DB = 9.0
_SPEECH_BELOW_LOUD_DB = 30.0
_MIN_SPEECH_DBFS = -55.0
_HANGOVER_FRAMES = 5
_BANDWIDTH_BELOW_PEAK_DB = 60.0
_BANDWIDTH_ABOVE_NOISE_DB = 6.0
_MAX_SPECTRUM_S = 60

_Levels = npt.NDArray[np.float64]
_Mask = npt.NDArray[np.bool_]


def analyze_recording(waveform: Waveform) -> RecordingMeasurements:
    """Measure a recording of any rate and channel count.

    Speech activity is by energy: a 20 ms frame is speech when it lies 9 dB above the noise
    floor (10th percentile) and within 30 dB of the loud parts (95th percentile), with 100 ms
    of hangover. SNR is the mean power of speech, less that of noise, over that of noise.
    """
    mono = waveform.to_mono()
    levels = _frame_levels(resample(mono, _ANALYSIS_RATE))
    speech = _find_speech(levels)
    snr_db, floor_dbfs = _noise(levels, speech)
    meter = LoudnessMeter(waveform.sample_rate, waveform.channels)
    meter.add(waveform)
    magnitude = np.abs(waveform.samples)
    share = float(speech.mean()) if speech.size else 0.0
    return RecordingMeasurements(
        duration_s=round(waveform.duration_s, 3),
        sample_rate=waveform.sample_rate,
        channels=waveform.channels,
        loudness_lufs=_rounded(meter.loudness_lufs()),
        peak_dbfs=_rounded(to_db(float(magnitude.max(initial=0.0)))),
        snr_db=_rounded(snr_db),
        noise_floor_dbfs=_rounded(floor_dbfs),
        clipping_share=round(float((magnitude >= _FULL_SCALE).mean()), 6),
        speech_s=round(share * waveform.duration_s, 2),
        speech_share=round(share, 4),
        silence_share=round(float((levels < _SILENCE_DBFS).mean()), 4),
        bandwidth_hz=_bandwidth(mono, speech),
    )


def judge_recording(m: RecordingMeasurements) -> Verdict:
    """A verdict in words. The score is 1 less what each finding takes; an error is final."""
    found = [reason for reason in _findings(m) if reason is not None]
    score = max(0.0, 1.0 - sum(cost for _, cost in found))
    reasons = tuple(reason for reason, _ in found)
    is_usable = not any(reason.severity == "error" for reason in reasons)
    return Verdict(
        is_usable, round(score, 2) if is_usable else 0.0, _grade(score, is_usable), reasons
    )


def _findings(m: RecordingMeasurements) -> list[tuple[Reason, float] | None]:
    is_silent = m.loudness_lufs is None
    snr_db = m.snr_db if m.snr_db is not None else 99.0
    loudness = m.loudness_lufs if m.loudness_lufs is not None else 0.0
    bandwidth = m.bandwidth_hz or 24_000
    return [
        _when(is_silent, "silent", "The recording is silent.", "error", 1.0),
        _when(
            not is_silent and m.speech_s < 1.0,
            "no_speech", "There is hardly any speech in the recording.", "error", 1.0,
        ),
        _when(
            not is_silent and 1.0 <= m.speech_s < 3.0,
            "too_short", "There are less than 3 seconds of speech.", "error", 0.6,
        ),
        _when(
            3.0 <= m.speech_s < 10.0,
            "short", "10 seconds of speech or more give a better voice.", "warning", 0.15,
        ),
        _when(snr_db < 6.0, "very_noisy", "The noise is as loud as the speech.", "error", 0.6),
        _when(6.0 <= snr_db < 20.0, "noisy", "There is audible noise.", "warning", 0.25),
        _when(m.clipping_share > 0.02, "clipped", "The recording is badly clipped.", "error", 0.6),
        _when(
            0.0005 < m.clipping_share <= 0.02,
            "some_clipping", "Some peaks are clipped; record at a lower level.", "warning", 0.2,
        ),
        _when(
            not is_silent and loudness < -45.0,
            "very_quiet", "The recording is very quiet.", "warning", 0.25,
        ),
        _when(
            bandwidth < 6000,
            "narrow_band", "The sound is as narrow as on the telephone.", "warning", 0.2,
        ),
        _when(
            not is_silent and m.speech_s >= 3.0 and m.speech_share < 0.2,
            "mostly_pauses", "Most of the recording is not speech.", "info", 0.05,
        ),
    ]  # fmt: skip


def _when(
    holds: bool, code: str, message: str, severity: Severity, cost: float
) -> tuple[Reason, float] | None:
    return (Reason(code, message, severity), cost) if holds else None


def _grade(score: float, is_usable: bool) -> Grade:
    if not is_usable:
        return "unusable"
    if score >= 0.9:
        return "excellent"
    if score >= 0.75:
        return "good"
    return "fair" if score >= 0.5 else "poor"


def _frame_levels(waveform: Waveform) -> _Levels:
    """RMS level of each 20 ms frame in dBFS, shape ``(frames,)``."""
    length = round(waveform.sample_rate * _FRAME_S)
    count = max(1, waveform.frames // length)
    padded = np.zeros(count * length, np.float32)
    usable = waveform.samples[: count * length]
    padded[: usable.size] = usable
    power = np.square(padded.astype(np.float64).reshape(count, length)).mean(axis=1)
    levels: _Levels = 10 * np.log10(np.maximum(power, 1e-12))
    return levels


def _find_speech(levels: _Levels) -> _Mask:
    floor, loud = np.percentile(levels, [10, 95])
    threshold = max(
        min(floor + _SPEECH_ABOVE_NOISE_DB, loud - 3.0),
        loud - _SPEECH_BELOW_LOUD_DB,
        _MIN_SPEECH_DBFS,
    )
    active = levels > threshold
    kernel = np.ones(2 * _HANGOVER_FRAMES + 1)
    speech: _Mask = np.convolve(active, kernel, mode="same") > 0
    return speech


def _noise(levels: _Levels, speech: _Mask) -> tuple[float | None, float | None]:
    """SNR in dB and noise floor in dBFS; None without speech."""
    if not speech.any():
        return None, None
    power = 10 ** (levels / 10)
    quiet = power[~speech]
    # Without a pause the quietest frames of the speech stand for the noise.
    noise = float(quiet.mean()) if quiet.size >= 5 else float(np.percentile(power, 2))
    signal = max(float(power[speech].mean()) - noise, 1e-12)
    return 10 * float(np.log10(signal / max(noise, 1e-12))), 10 * float(np.log10(max(noise, 1e-12)))


def _bandwidth(mono: Waveform, speech: _Mask) -> int | None:
    """The highest frequency at which speech stands out of noise and above its own peak -60 dB."""
    if not speech.any():
        return None
    samples: Samples = mono.samples[: _MAX_SPECTRUM_S * mono.sample_rate]
    size = 1 << round(np.log2(mono.sample_rate * 0.04))
    if samples.size < size:
        return None
    frequencies, times, bins = stft(samples, mono.sample_rate, nperseg=size, noverlap=0)
    index = np.minimum((times / _FRAME_S).astype(int), speech.size - 1)
    power = np.square(np.abs(bins))
    spoken = power[:, speech[index]].mean(axis=1) if speech[index].any() else power.mean(axis=1)
    quiet = power[:, ~speech[index]].mean(axis=1) if (~speech[index]).any() else 0.0 * spoken
    stands_out = (spoken > quiet * 10 ** (_BANDWIDTH_ABOVE_NOISE_DB / 10)) & (
        spoken > spoken.max() * 10 ** (-_BANDWIDTH_BELOW_PEAK_DB / 10)
    )
    return int(frequencies[np.flatnonzero(stands_out)[-1]]) if stands_out.any() else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
