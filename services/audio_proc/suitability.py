"""What a recording is good for, in words: to make a voice from, and to train a voice with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mynah.audio.measurements import (
    DepthMeasurements,
    Grade,
    Reason,
    RecordingMeasurements,
    Severity,
    Verdict,
)


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
        return _silent()
    return _judge(_rules(measured, measured.loudness_lufs))


def judge_for_training(measured: RecordingMeasurements, depth: DepthMeasurements) -> Verdict:
    """A verdict in words on the use of a recording to train a voice with.

    Training takes many recordings and learns their faults: one may be short, but noise,
    reverberation, a narrow band, clipping and second voices weigh more than in cloning.
    """
    if measured.loudness_lufs is None or measured.peak_dbfs is None:
        return _silent()
    return _judge(_training_rules(measured, depth, measured.loudness_lufs))


def _silent() -> Verdict:
    silent = Reason("silent", "The recording is silent.", "error")
    return Verdict(is_usable=False, score=0.0, grade="unusable", reasons=(silent,))


def _judge(rules: Sequence[_Rule]) -> Verdict:
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


def _training_rules(
    measured: RecordingMeasurements, depth: DepthMeasurements, loudness_lufs: float
) -> list[_Rule]:
    has_speech = measured.speech_s > 0
    return [
        _Rule(
            "too_short", measured.speech_s, False,
            1.0, "There is less than a second of speech.",
            3.0, "There are only a few seconds of speech.",
            ((1.0, 0.7), (3.0, 0.95), (5.0, 1.0)),
        ),
        _Rule(
            "little_speech", measured.speech_share, False,
            None, "",
            0.3, "Most of the recording is not speech.",
            ((0.05, 0.6), (0.5, 1.0)),
        ),
        _Rule(
            "noisy", _or(measured.snr_db if has_speech else None, 60.0), False,
            12.0, "There is so much noise that training would learn it.",
            25.0, "There is noise behind the speech that training would learn.",
            ((12.0, 0.3), (25.0, 0.8), (40.0, 1.0)),
        ),
        _Rule(
            "reverberant", _or(depth.rt60_s, 0.0), True,
            1.2, "The room echoes so much that training would learn it.",
            0.5, "The room can be heard; a smaller or softer one is better.",
            ((0.5, 1.0), (0.7, 0.8), (1.2, 0.4)),
        ),
        _Rule(
            "several_speakers", float(depth.speakers == "2 or more"), True,
            None, "",
            0.5, "There seems to be more than one voice; one is to be trained.",
            ((0.0, 1.0), (1.0, 0.5)),
        ),
        _Rule(
            "clipped", measured.clipping_share, True,
            0.01, "The recording is badly clipped; record at a lower level.",
            0.0002, "Some peaks are clipped; record at a lower level.",
            ((0.0001, 1.0), (0.001, 0.8), (0.01, 0.3)),
        ),
        _Rule(
            "too_quiet", loudness_lufs, False,
            -60.0, "The recording is too quiet to be used.",
            -40.0, "The recording is very quiet.",
            ((-60.0, 0.4), (-40.0, 0.8), (-30.0, 1.0)),
        ),
        _Rule(
            "narrow_bandwidth", _or(measured.bandwidth_hz, 24_000.0), False,
            3000.0, "The sound is too narrow to train a voice with.",
            7000.0, "The sound lacks treble, and so would the trained voice.",
            ((3000.0, 0.4), (7000.0, 0.9), (10_000.0, 1.0)),
        ),
    ]  # fmt: skip
