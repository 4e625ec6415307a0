from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mynah.audio.measurements import DepthMeasurements, RecordingMeasurements
from services.audio_proc.suitability import judge_for_training, judge_recording

GOOD = RecordingMeasurements(
    duration_s=30.0, sample_rate=44100, channels=1, loudness_lufs=-20.0, peak_dbfs=-3.0,
    snr_db=45.0, noise_floor_dbfs=-70.0, clipping_share=0.0, speech_s=30.0, speech_share=0.9,
    silence_share=0.05, bandwidth_hz=12000,
)  # fmt: skip
DRY = DepthMeasurements(
    true_peak_dbtp=-2.5, loudness_range_lu=5.0, rt60_s=0.3, speakers="1", bands=()
)


@pytest.mark.parametrize(
    ("change", "code", "severity"),
    [
        ({"speech_s": 2.0}, "too_short", "error"),
        ({"speech_s": 5.0}, "too_short", "warning"),
        ({"speech_share": 0.1}, "little_speech", "warning"),
        ({"snr_db": 3.0}, "noisy", "error"),
        ({"snr_db": 12.0}, "noisy", "warning"),
        ({"clipping_share": 0.05}, "clipped", "error"),
        ({"clipping_share": 0.002}, "clipped", "warning"),
        ({"loudness_lufs": -65.0}, "too_quiet", "error"),
        ({"loudness_lufs": -45.0}, "too_quiet", "warning"),
        ({"bandwidth_hz": 3500}, "narrow_bandwidth", "warning"),
    ],
)
def test_each_fault_is_named(change: dict[str, float], code: str, severity: str) -> None:
    verdict = judge_recording(replace(GOOD, **change))
    assert [(reason.code, reason.severity) for reason in verdict.reasons] == [(code, severity)]
    assert verdict.is_usable is (severity != "error")
    assert verdict.score < judge_recording(GOOD).score
    assert verdict.reasons[0].message.endswith(".")


def test_a_good_recording_is_excellent() -> None:
    verdict = judge_recording(GOOD)
    assert (verdict.is_usable, verdict.grade, verdict.reasons) == (True, "excellent", ())
    assert verdict.score == 1.0


def test_more_noise_never_scores_better() -> None:
    scores = [judge_recording(replace(GOOD, snr_db=snr)).score for snr in (50, 35, 25, 15, 8, 2)]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("change", "depth", "code", "severity"),
    [
        ({"speech_s": 0.5}, {}, "too_short", "error"),
        ({"speech_s": 2.0}, {}, "too_short", "warning"),
        ({"speech_share": 0.1}, {}, "little_speech", "warning"),
        ({"snr_db": 8.0}, {}, "noisy", "error"),
        ({"snr_db": 20.0}, {}, "noisy", "warning"),
        ({}, {"rt60_s": 1.5}, "reverberant", "error"),
        ({}, {"rt60_s": 0.7}, "reverberant", "warning"),
        ({}, {"speakers": "2 or more"}, "several_speakers", "warning"),
        ({"clipping_share": 0.02}, {}, "clipped", "error"),
        ({"clipping_share": 0.0005}, {}, "clipped", "warning"),
        ({"loudness_lufs": -65.0}, {}, "too_quiet", "error"),
        ({"bandwidth_hz": 2500}, {}, "narrow_bandwidth", "error"),
        ({"bandwidth_hz": 5000}, {}, "narrow_bandwidth", "warning"),
    ],
)
def test_each_fault_for_training_is_named(
    change: dict[str, Any], depth: dict[str, Any], code: str, severity: str
) -> None:
    verdict = judge_for_training(replace(GOOD, **change), replace(DRY, **depth))
    assert [(reason.code, reason.severity) for reason in verdict.reasons] == [(code, severity)]
    assert verdict.is_usable is (severity != "error")
    assert verdict.score < judge_for_training(GOOD, DRY).score
    assert verdict.reasons[0].message.endswith(".")


def test_a_good_recording_is_excellent_for_training_even_where_little_is_known() -> None:
    for depth in (DRY, replace(DRY, rt60_s=None, speakers=None)):
        verdict = judge_for_training(GOOD, depth)
        assert (verdict.score, verdict.grade, verdict.reasons) == (1.0, "excellent", ())


def test_silence_is_of_no_use_for_training() -> None:
    silent = replace(GOOD, loudness_lufs=None, peak_dbfs=None)
    assert [reason.code for reason in judge_for_training(silent, DRY).reasons] == ["silent"]
