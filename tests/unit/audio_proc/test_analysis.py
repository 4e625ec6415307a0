from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from mynah.audio.measurements import RecordingMeasurements
from mynah.audio.resample import resample
from mynah.audio.waveform import Waveform
from services.audio_proc.analysis import analyze_recording, clipping_share, judge_recording
from tests.unit.audio.signals import mixed_at_snr, noise, silence, speech_like, stereo_tone, tone

GOOD = RecordingMeasurements(
    duration_s=30.0, sample_rate=44100, channels=1, loudness_lufs=-20.0, peak_dbfs=-3.0,
    snr_db=45.0, noise_floor_dbfs=-70.0, clipping_share=0.0, speech_s=30.0, speech_share=0.9,
    silence_share=0.05, bandwidth_hz=12000,
)  # fmt: skip


@pytest.mark.parametrize(
    ("sample_rate", "snr_db"),
    [(16000, 0), (16000, 10), (16000, 20), (16000, 40), (44100, 0), (44100, 5), (44100, 30)],
)
def test_snr_is_found_within_two_db(sample_rate: int, snr_db: int) -> None:
    speech, sounding = speech_like(8.0, sample_rate)
    measured = analyze_recording(mixed_at_snr(speech, sounding, snr_db))
    assert measured.snr_db == pytest.approx(snr_db, abs=2.0)
    assert measured.speech_share == pytest.approx(sounding.mean(), abs=0.1)


def test_a_constant_offset_is_not_noise() -> None:
    speech, sounding = speech_like(10.0, 24000)
    mixed = mixed_at_snr(speech, sounding, 30)
    shifted = Waveform(mixed.samples + np.float32(0.1), 24000)
    assert analyze_recording(shifted).snr_db == pytest.approx(30, abs=2.0)


@pytest.mark.parametrize("level", [1.0, 0.4])
def test_clipping_is_counted_at_and_below_full_scale(level: float) -> None:
    loud = tone(1.0, 44100, hz=220.0, level=2.0).samples
    is_cut = np.abs(loud) > 1.0
    clipped = (np.clip(loud, -1.0, 1.0) * level).astype(np.float32)
    assert clipping_share(clipped) == pytest.approx(is_cut.mean(), abs=0.01)


def test_what_is_not_clipped_counts_as_such() -> None:
    speech, _ = speech_like(8.0, 44100)
    loudest = speech.samples / np.abs(speech.samples).max()
    assert clipping_share((0.99 * loudest).astype(np.float32)) < 1e-4
    for hz in (110.0, 440.0, 1000.0):
        assert clipping_share(tone(1.0, 44100, hz, 0.9).samples) < 1e-3
    assert clipping_share(silence().samples) == 0.0
    assert clipping_share(stereo_tone().samples) == 0.0


def test_bandwidth_tells_the_telephone_from_the_studio() -> None:
    speech, _ = speech_like(8.0, 44100)
    studio = analyze_recording(speech).bandwidth_hz
    telephone = analyze_recording(resample(resample(speech, 8000), 44100)).bandwidth_hz
    assert studio is not None
    assert studio > 9000
    assert telephone == pytest.approx(4000, abs=400)


def test_noise_does_not_widen_the_band() -> None:
    speech, sounding = speech_like(8.0, 44100)
    low = butter(8, 3000, fs=44100, output="sos")
    narrow = Waveform(sosfilt(low, speech.samples).astype(np.float32), 44100)
    measured = analyze_recording(mixed_at_snr(narrow, sounding, 30))
    assert measured.bandwidth_hz is not None
    assert measured.bandwidth_hz < 4500


def test_what_is_not_speech_holds_no_speech() -> None:
    for waveform in (silence(5.0), noise(5.0), tone(5.0)):
        measured = analyze_recording(waveform)
        assert measured.speech_s < 0.3
        assert not judge_recording(measured).is_usable


def test_silence_has_no_loudness_peak_or_snr() -> None:
    measured = analyze_recording(silence(2.0))
    assert (measured.loudness_lufs, measured.peak_dbfs, measured.snr_db) == (None, None, None)
    assert measured.silence_share == 1.0
    verdict = judge_recording(measured)
    assert [reason.code for reason in verdict.reasons] == ["silent"]
    assert (verdict.is_usable, verdict.grade) == (False, "unusable")


@pytest.mark.parametrize("frames", [0, 1, 100, 5000])
def test_very_short_audio_is_measured_without_fuss(frames: int) -> None:
    measured = analyze_recording(Waveform(noise(1.0).samples[:frames], 24000))
    json.dumps(measured.to_dict(), allow_nan=False)
    assert not judge_recording(measured).is_usable


def test_measurements_and_verdict_are_json() -> None:
    speech, sounding = speech_like(10.0, 24000)
    measured = analyze_recording(mixed_at_snr(speech, sounding, 40))
    verdict = judge_recording(measured)
    document = json.loads(json.dumps([measured.to_dict(), verdict.to_dict()], allow_nan=False))
    assert document[0]["channels"] == 1
    assert document[1]["is_usable"] is True


def test_stereo_is_measured_as_such() -> None:
    speech, _ = speech_like(10.0, 24000)
    stereo = Waveform(np.stack([speech.samples, 0.5 * speech.samples]), 24000)
    measured = analyze_recording(stereo)
    assert measured.channels == 2
    assert measured.speech_s > 7.0


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


def test_five_minutes_are_measured_in_a_fraction_of_their_time() -> None:
    speech, sounding = speech_like(10.0, 24000)
    part = mixed_at_snr(speech, sounding, 25)
    long = Waveform(np.tile(part.samples, 30), 24000)
    started = time.process_time()
    analyze_recording(long)
    assert time.process_time() - started < long.duration_s / 50
