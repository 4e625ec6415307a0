from __future__ import annotations

import numpy as np
import pytest

from mynah.audio.loudness import measure_loudness, true_peak
from mynah.audio.waveform import Samples, Waveform
from mynah.contracts.audio import EnhanceOptions
from services.audio_proc.analysis import analyze_recording
from services.audio_proc.click_repair import repair_clicks
from services.audio_proc.enhancement import enhance
from tests.unit.audio.signals import noise, silence, tone
from tests.unit.audio_proc.spoken import MAN, OTHER_MAN, SENTENCES, WOMAN, noisy, sentence, spoken

NOTHING = EnhanceOptions(highpass_hz=0, declick=False, denoise_db=0, loudness_lufs=None)


def snr_of(waveform: Waveform) -> float:
    snr_db = analyze_recording(waveform).snr_db
    assert snr_db is not None
    return snr_db


def likeness(clean: Waveform, other: Waveform) -> float:
    return float(np.corrcoef(clean.samples, other.samples)[0, 1])


def error_db(clean: Samples, other: Samples) -> float:
    """Signal to error."""
    error = float(np.square(other - clean).sum())
    return 10 * np.log10(float(np.square(clean).sum()) / max(error, 1e-12))


def with_clicks(clean: Samples) -> Samples:
    """60 clicks of one to four samples."""
    rng = np.random.default_rng(3)
    clicked = clean.copy()
    for place in rng.integers(0, len(clean) - 10, 60).tolist():
        clicked[place : place + int(rng.integers(1, 5))] += rng.choice([-1, 1]) * rng.uniform(
            0.1, 0.8
        )
    return clicked


@pytest.mark.parametrize("colour", ["white", "pink"])
@pytest.mark.parametrize(("voice", "snr_db"), [(MAN, 5), (WOMAN, 10), (OTHER_MAN, 20)])
def test_noise_goes_and_speech_stays(voice: str, snr_db: int, colour: str) -> None:
    clean, _ = spoken((voice,))
    before = noisy(clean, snr_db, colour)
    after = enhance(before, EnhanceOptions(loudness_lufs=None))
    assert after.is_noise_reduced
    assert snr_of(after.waveform) >= snr_of(before) + 6
    assert likeness(clean, after.waveform) >= likeness(clean, before)


def test_noise_is_turned_down_by_no_more_than_was_asked_for() -> None:
    before = noisy(spoken()[0], 15)
    floors = []
    for depth_db in (6.0, 12.0, 24.0):
        options = NOTHING.model_copy(update={"denoise_db": depth_db})
        floors.append(analyze_recording(enhance(before, options).waveform).noise_floor_dbfs or 0)
    untouched = analyze_recording(before).noise_floor_dbfs or 0
    reductions = untouched - np.array(floors)
    assert reductions[:2] == pytest.approx([6, 12], abs=1.5)
    assert reductions[1] + 3 < reductions[2] <= 24


def test_without_a_pause_the_noise_is_left_alone() -> None:
    rushed = Waveform(0.5 * sentence(SENTENCES[1], MAN, 16_000)[4000:28_000], 16_000)
    result = enhance(rushed, NOTHING.model_copy(update={"denoise_db": 18}))
    assert not result.is_noise_reduced
    assert (result.waveform.samples == rushed.samples).all()


@pytest.mark.parametrize("voice", [MAN, WOMAN, OTHER_MAN])
def test_clicks_go_and_clean_speech_stays(voice: str) -> None:
    clean = spoken((voice,), 44_100)[0].samples
    clicked = with_clicks(clean)
    repaired, count = repair_clicks(clicked, 44_100)
    assert count >= 50
    assert error_db(clean, repaired) > error_db(clean, clicked) + 8
    untouched, _ = repair_clicks(clean, 44_100)
    assert error_db(clean, untouched) > 40


def test_rumble_goes() -> None:
    clean, _ = spoken((WOMAN,))
    rumble = tone(clean.duration_s, clean.sample_rate, 30.0, 0.2).samples[: clean.frames]
    before = Waveform(clean.samples + rumble, clean.sample_rate)
    after = enhance(before, NOTHING.model_copy(update={"highpass_hz": 80.0})).waveform
    assert error_db(clean.samples, after.samples) > 25
    assert error_db(clean.samples, before.samples) < 0


def test_the_highpass_has_no_seams() -> None:
    """It works in blocks of 20 s, which must not be heard."""
    steady = tone(45.0, 8000, 1000.0)
    after = enhance(steady, NOTHING.model_copy(update={"highpass_hz": 80.0})).waveform
    inner = slice(8000, -8000)
    assert error_db(steady.samples[inner], after.samples[inner]) > 80


def test_loudness_comes_to_the_target_and_peaks_stay_below() -> None:
    before = noisy(spoken()[0], 30)
    for target in (-18.0, -23.0):
        after = enhance(before, EnhanceOptions(loudness_lufs=target)).waveform
        assert measure_loudness(after) == pytest.approx(target, abs=1.0)
        assert true_peak(after.samples) <= 10 ** (-0.9 / 20)


def test_with_everything_off_nothing_changes() -> None:
    loud = noisy(spoken()[0], 20)
    before = Waveform(0.5 * loud.samples, loud.sample_rate)
    result = enhance(before, NOTHING)
    assert (result.waveform.samples == before.samples).all()
    assert (result.clicks_repaired, result.is_noise_reduced) == (0, False)


def test_channels_stay_apart() -> None:
    speech = noisy(spoken()[0], 20)
    stereo = Waveform(np.stack([speech.samples, 0.5 * speech.samples]), speech.sample_rate)
    after = enhance(stereo, EnhanceOptions(loudness_lufs=None)).waveform
    assert after.samples.shape == stereo.samples.shape
    ratio = np.linalg.norm(after.samples[1]) / np.linalg.norm(after.samples[0])
    assert ratio == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    "waveform", [silence(2.0), noise(2.0), tone(0.1), silence(0.1), tone(2.0, 1000, 100.0)]
)
def test_what_is_not_speech_is_no_reason_to_fail(waveform: Waveform) -> None:
    after = enhance(waveform, EnhanceOptions()).waveform
    assert after.frames == waveform.frames
    assert np.isfinite(after.samples).all()
