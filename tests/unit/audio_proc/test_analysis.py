from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from mynah.audio.resample import resample
from mynah.audio.waveform import Waveform
from services.audio_proc.analysis import analyze_in_depth, analyze_recording, clipping_share
from services.audio_proc.suitability import judge_for_training, judge_recording
from tests.unit.audio.signals import noise, silence, speech_like, stereo_tone, tone
from tests.unit.audio_proc.spoken import MAN, WOMAN, noisy, spoken


@pytest.mark.parametrize("colour", ["white", "pink", "hum"])
@pytest.mark.parametrize(
    ("voice", "sample_rate", "snr_db"),
    [(MAN, 16000, 0), (MAN, 16000, 20), (MAN, 44100, 30), (WOMAN, 16000, 10), (WOMAN, 44100, 5)],
)
def test_snr_is_found_within_a_decibel(
    voice: str, sample_rate: int, snr_db: int, colour: str
) -> None:
    speech, is_speech = spoken((voice,), sample_rate)
    measured = analyze_recording(noisy(speech, snr_db, colour))
    assert measured.snr_db == pytest.approx(snr_db, abs=1.0)
    assert measured.speech_share == pytest.approx(is_speech.mean(), abs=0.1)


def test_a_constant_offset_is_not_noise() -> None:
    mixed = noisy(spoken()[0], 30)
    shifted = Waveform(mixed.samples + np.float32(0.1), mixed.sample_rate)
    assert analyze_recording(shifted).snr_db == pytest.approx(30, abs=1.0)


def test_a_door_that_slams_in_a_pause_is_not_the_noise_floor() -> None:
    mixed = noisy(spoken()[0], 30)
    slammed = mixed.samples.copy()
    slammed[1600:2400] += 0.3 * np.sin(np.arange(800)).astype(np.float32)
    measured = analyze_recording(Waveform(slammed, mixed.sample_rate))
    assert measured.snr_db == pytest.approx(30, abs=1.0)


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
    speech = noisy(spoken((WOMAN,), 44100)[0], 50)
    studio = analyze_recording(speech).bandwidth_hz
    telephone = analyze_recording(resample(resample(speech, 8000), 44100)).bandwidth_hz
    assert studio is not None
    assert studio > 7500
    assert telephone == pytest.approx(4000, abs=400)


def test_noise_does_not_widen_the_band() -> None:
    speech, _ = spoken((MAN,), 44100)
    low = butter(8, 3000, fs=44100, output="sos")
    narrow = Waveform(sosfilt(low, speech.samples).astype(np.float32), 44100)
    measured = analyze_recording(noisy(narrow, 30))
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
    measured = analyze_in_depth(Waveform(noise(1.0).samples[:frames], 24000), columns=100)
    document = [measured.recording.to_dict(), measured.depth.to_dict()]
    json.dumps(document, allow_nan=False)
    assert not judge_recording(measured.recording).is_usable
    assert not judge_for_training(measured.recording, measured.depth).is_usable


def test_everything_measured_is_json() -> None:
    measured = analyze_in_depth(noisy(spoken()[0], 40))
    verdict = judge_recording(measured.recording)
    parts = [measured.recording.to_dict(), measured.depth.to_dict(), verdict.to_dict()]
    document = json.loads(json.dumps(parts, allow_nan=False))
    assert document[0]["channels"] == 1
    assert {band["hz"] for band in document[1]["bands"]} >= {63, 315, 1000, 1250}
    assert document[1]["speakers"] == "1"
    assert document[2]["is_usable"] is True


def test_stereo_is_measured_as_such() -> None:
    speech, is_speech = spoken()
    stereo = Waveform(np.stack([speech.samples, 0.5 * speech.samples]), speech.sample_rate)
    measured = analyze_recording(stereo)
    assert measured.channels == 2
    assert measured.speech_share == pytest.approx(is_speech.mean(), abs=0.1)


def test_true_peak_lies_above_the_samples() -> None:
    quarter = Waveform(
        (0.5 * np.sin(np.pi / 2 * np.arange(48000) + np.pi / 4)).astype(np.float32), 48000
    )
    measured = analyze_in_depth(quarter)
    assert measured.recording.peak_dbfs == pytest.approx(-9.03, abs=0.05)
    assert measured.depth.true_peak_dbtp == pytest.approx(-6.02, abs=0.3)


def test_loudness_range_is_the_distance_of_loud_and_soft() -> None:
    """The first two cases of EBU Tech 3342: tones at two levels, 10 and 5 LU apart."""
    for distance_db in (10.0, 5.0):
        loud = tone(20.0, 24000, 1000.0, 0.1).samples
        soft = (loud * 10 ** (-distance_db / 20)).astype(np.float32)
        measured = analyze_in_depth(Waveform(np.concatenate([loud, soft]), 24000))
        assert measured.depth.loudness_range_lu == pytest.approx(distance_db, abs=1.0)
