"""What is wrong with a segment is found; good readings of any kind pass."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from mynah.audio.job_quality import job_quality
from mynah.audio.quality import SpeechMeasures
from mynah.audio.resample import resample
from mynah.audio.segment_checks import expected_speech_s, find_faults, measure_segment
from mynah.audio.waveform import Samples, Waveform
from mynah.contracts.speech import PieceReport, SpokenAttempt
from mynah.engines.base import SynthesisSettings
from mynah.engines.catalog import BUILTIN_VOICES
from mynah.engines.espeak.engine import EspeakEngine
from tests.unit.audio.signals import noise, speech_like, tone

RATE = 22050
PACE = 14.0
STORY = (
    "Every evening the lamplighter walked along the river, and one by one the windows of the "
    "town began to shine. Nobody knew where he came from!"
)
CHORUS = "And the wheels on the bus go round and round, round and round, round and round, all day."
TEXTS = {
    "en": STORY,
    "de": "Die Lampe brennt, die Tür ist zu, und alle im Haus schlafen schon tief und fest.",
    "fr": "La lune est levée, il est l'heure de dormir, mes petits.",
    "es": "La luna ya salió, buenas noches a todos los niños.",
    "it": "La luna è alta nel cielo, buona notte a tutti.",
    "pt": "A lua já nasceu, boa noite a todas as crianças.",
    "nl": "De maan is op, welterusten allemaal.",
    "pl": "Księżyc już wzeszedł, dobranoc wszystkim dzieciom.",
    "sv": "Månen är uppe, god natt alla barn.",
    "tr": "Ay çıktı, bütün çocuklara iyi geceler.",
    "uk": "Місяць зійшов, на добраніч усім дітям.",
    "ru": "Луна взошла, спокойной ночи всем детям.",
    "cmn": "月亮升起来了，晚安，小朋友们。",
    "hi": "चाँद निकल आया है, सभी बच्चों को शुभ रात्रि।",
    "ar": "طلع القمر، تصبحون على خير يا أطفال.",
}


@lru_cache(maxsize=64)
def say(text: str, voice: str = "en-us", rate: float = 1.0) -> Samples:
    engine = EspeakEngine()
    profile = engine.builtin_profile(voice, voice.partition("+")[0])
    blocks = engine.synthesize(text, profile, SynthesisSettings(rate=rate))
    return np.concatenate([block.waveform.samples for block in blocks])


def faults_of(samples: Samples, text: str, pace: float = PACE) -> tuple[str, ...]:
    reasons, score = find_faults(measure_segment(Waveform(samples, RATE), text, pace))
    assert 0 <= score <= 1
    assert not reasons or score < 0.5
    return reasons


@pytest.mark.parametrize("voice", BUILTIN_VOICES, ids=lambda voice: voice.slug)
@pytest.mark.parametrize("rate", [0.5, 1.0, 2.0])
def test_every_builtin_voice_at_every_rate_passes(voice: object, rate: float) -> None:
    name = voice.engine_voice  # type: ignore[attr-defined]
    text = TEXTS[name.partition("+")[0].partition("-")[0]]
    measures = measure_segment(Waveform(say(text, name, rate), RATE), text, PACE * rate)
    assert find_faults(measures) == ((), 1.0), measures


@pytest.mark.parametrize(
    "text",
    [
        "Yes.",
        "No, no, no!",
        "Good night, good night, good night, good night.",
        "Row, row, row your boat. Merrily, merrily, merrily, merrily, life is but a dream.",
        CHORUS,
        "One hundred one, one hundred two, one hundred three, one hundred four.",
        "Hahahahahahahahahahahaha, hahahahahahahahaha!",
        "Call 0800 123 456 before 9:30 on 12 May 1987!",
        "Ja. Nein. Ja. Nein. Ja. Nein. Ja. Nein.",
        "7, 7, 7, 7, 7, 7, 7, 7, 7.",
    ],
)
def test_texts_that_repeat_themselves_or_are_odd_pass(text: str) -> None:
    assert faults_of(say(text), text) == ()


def test_speech_of_another_rate_and_synthetic_rhythm_passes() -> None:
    spoken = resample(Waveform(say(STORY), RATE), 48000)
    assert find_faults(measure_segment(spoken, STORY, PACE)) == ((), 1.0)
    rhythm, _ = speech_like(8.0)
    assert find_faults(measure_segment(rhythm, "word " * 22, PACE))[0] in ((), ("repeats",))


def test_a_chunk_said_three_times_is_found_even_when_it_drifts() -> None:
    phrase = "and then the wolf came to the house"
    rng = np.random.default_rng(0)
    again = [say(phrase, rate=1.0 + 0.02 * number) for number in range(3)]
    stuck = np.concatenate([say("Once upon a time there was a pig,"), *again])
    stuck += rng.normal(0, 0.002, stuck.size).astype(np.float32)
    text = f"Once upon a time there was a pig, {phrase} and knocked at the door, and knocked."
    assert faults_of(stuck, text) == ("repeats",)
    twice = np.concatenate([say("Once upon a time there was a pig,"), *again[:2]])
    assert faults_of(twice, text) == ()


def test_more_repetition_than_the_text_has_is_found() -> None:
    text = "Good night, good night, good night."
    assert faults_of(say(text), text) == ()
    assert "repeats" in faults_of(np.tile(say(text), 3), text)


def test_missing_and_made_up_words_are_found_by_length() -> None:
    assert faults_of(say("Every evening"), STORY) == ("too_short",)
    assert faults_of(say(STORY), "The windows shine.") == ("too_long",)


def test_silence_and_long_pauses_are_found() -> None:
    assert faults_of(np.zeros(RATE * 3, np.float32), STORY) == ("silent",)
    assert faults_of(np.zeros(0, np.float32), STORY) == ("silent",)
    half = say(STORY).size // 2
    gap = np.zeros(3 * RATE, np.float32)
    broken = np.concatenate([say(STORY)[:half], gap, say(STORY)[half:]])
    assert faults_of(broken, STORY) == ("long_pause",)


def test_clipping_level_and_what_is_no_number_are_found() -> None:
    spoken = say(STORY)
    assert faults_of(np.clip(spoken * 8, -1, 1), STORY) == ("clipped",)
    assert faults_of(spoken * np.float32(0.01), STORY) == ("too_quiet",)
    assert faults_of(spoken * np.float32(0.1), STORY) == ()
    damaged = spoken.copy()
    damaged[100] = np.nan
    assert faults_of(damaged, STORY) == ("not_finite",)


@pytest.mark.parametrize("kind", ["hiss", "hum"])
def test_noise_behind_the_speech_is_found(kind: str) -> None:
    tail = noise(2.0, RATE, 0.02) if kind == "hiss" else tone(2.0, RATE, 120.0, 0.05)
    noisy = np.concatenate([say(STORY), tail.samples])
    measures = measure_segment(Waveform(noisy, RATE), STORY, PACE)
    assert measures.trailing_noise_s == pytest.approx(2.0, abs=0.3)
    assert find_faults(measures)[0] == ("trailing_noise",)


def test_a_recognisers_disagreement_counts() -> None:
    measures = measure_segment(Waveform(say(STORY), RATE), STORY, PACE)
    misread = measures.model_copy(update={"word_error_rate": 0.8, "character_error_rate": 0.6})
    assert find_faults(misread)[0] == ("misread",)


def test_a_digit_or_an_ideograph_takes_longer_than_a_letter() -> None:
    assert expected_speech_s("1234567", PACE) > 4 * expected_speech_s("abcdefg", PACE)
    assert expected_speech_s("月亮升起来了", PACE) > 3 * expected_speech_s("abcdef", PACE)


def test_the_jobs_score_falls_with_its_worst_piece() -> None:
    file = SpeechMeasures(10.0, -18.0, -3.0, 0.0, 0.2)
    measures = measure_segment(Waveform(say(STORY), RATE), STORY, PACE)

    def report(score: float) -> PieceReport:
        attempt = SpokenAttempt(seed=1, measures=measures, reasons=(), score=score)
        return PieceReport(attempts=(attempt,), chosen=0)

    good = job_quality([report(1.0)] * 9, file, 140, PACE)
    assert good == job_quality([], file, 140, PACE) == 1.0
    assert 0.6 < job_quality([*[report(1.0)] * 9, report(0.0)], file, 140, PACE) < 0.7
    assert job_quality([report(0.2)], file, 140, PACE) == pytest.approx(0.2)
    slow = SpeechMeasures(40.0, -18.0, -3.0, 0.0, 0.7)  # a bedtime story, mostly pauses
    assert job_quality([report(1.0)], slow, 140, PACE) == 1.0
    assert job_quality([], slow, 140, PACE) < 0.5
    quiet = SpeechMeasures(10.0, -38.0, -20.0, 0.0, 0.2)
    assert job_quality([report(1.0)], quiet, 140, PACE) < 0.2
