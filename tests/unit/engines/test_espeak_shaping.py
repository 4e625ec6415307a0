"""A cloned eSpeak voice moves towards its speaker, by measure."""

from __future__ import annotations

import numpy as np
import pytest

from mynah.audio.resample import resample
from mynah.audio.waveform import Waveform
from mynah.engines.base import Profile, SynthesisSettings
from mynah.engines.espeak import library
from mynah.engines.espeak.engine import EspeakEngine
from mynah.engines.espeak.profile import VARIANTS, load_shape
from mynah.engines.espeak.world import analyze, to_cepstra

RATE = 22050
RECORDED = (
    "We walked along the beach and looked for shells. My sister found a blue one, which she "
    "gave to me. In the evening our mother made soup, and outside the wind blew hard."
)
TEXT = "Seven brave sailors crossed the stormy sea to find a quiet island."


def speak(text: str, profile: Profile, **settings: float) -> Waveform:
    blocks = list(EspeakEngine().synthesize(text, profile, SynthesisSettings(**settings)))  # type: ignore[arg-type]
    return Waveform(np.concatenate([block.waveform.samples for block in blocks]), RATE)


@pytest.fixture(scope="module")
def person() -> Waveform:
    """Somebody unlike any variant: a deep voice played faster, so that all formants move."""
    spoken = speak(RECORDED, EspeakEngine().builtin_profile("en-us+m5", "en-us"))
    return Waveform(resample(spoken, 17000).samples, RATE)


@pytest.fixture(scope="module")
def profile(person: Waveform) -> Profile:
    return EspeakEngine().prepare_profile([person], "en")


def pitch_hz(waveform: Waveform) -> float:
    f0 = analyze(waveform).f0
    return float(np.median(f0[f0 > 0]))


def mean_cepstrum(waveform: Waveform) -> np.ndarray:
    speech = analyze(waveform)
    chosen = speech.is_speech() & speech.voiced
    return to_cepstra(speech.envelope[chosen], RATE)[:, 1:].mean(axis=0)


def test_shaped_speech_has_the_persons_pitch(person: Waveform, profile: Profile) -> None:
    assert pitch_hz(speak(TEXT, profile, similarity=1.0)) == pytest.approx(
        pitch_hz(person), rel=0.08
    )


def test_shaped_speech_is_nearer_to_the_persons_timbre_than_plain(
    person: Waveform, profile: Profile
) -> None:
    target = mean_cepstrum(person)
    plain = np.linalg.norm(mean_cepstrum(speak(TEXT, profile, similarity=0.0)) - target)
    shaped = np.linalg.norm(mean_cepstrum(speak(TEXT, profile, similarity=1.0)) - target)
    assert shaped < 0.6 * plain


def test_shaping_keeps_the_length(profile: Profile) -> None:
    plain = speak(TEXT, profile, similarity=0.0)
    assert speak(TEXT, profile, similarity=1.0).frames == plain.frames


def test_a_profile_is_deterministic_small_and_of_numbers(
    person: Waveform, profile: Profile
) -> None:
    again = EspeakEngine().prepare_profile([person], "en")
    assert profile.arrays.keys() == again.arrays.keys()
    assert all(np.array_equal(profile.arrays[name], again.arrays[name]) for name in again.arrays)
    assert sum(array.nbytes for array in profile.arrays.values()) < 2_000_000
    assert np.isfinite(load_shape(profile).f0).all()


def test_a_narrow_recording_does_not_dull_the_voice(person: Waveform) -> None:
    narrow = resample(resample(person, 8000), RATE)
    profile = EspeakEngine().prepare_profile([narrow], "en")
    spectrum = np.abs(np.fft.rfft(speak(TEXT, profile, similarity=1.0).samples)) ** 2
    high = spectrum[int(5000 / (RATE / 2) * spectrum.size) :].sum() / spectrum.sum()
    assert high > 1e-4


def test_variants_of_the_study_are_there() -> None:

    assert set(VARIANTS) - {""} <= library.load_variant_names()
