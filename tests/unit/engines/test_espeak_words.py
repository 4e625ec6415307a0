"""eSpeak's word times and phonemes, held against the audio."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mynah.audio.waveform import Samples, Waveform
from mynah.contracts.speech import PhonemeSpan
from mynah.engines.base import Profile, SynthesisSettings, WordEvent
from mynah.engines.espeak import library
from mynah.engines.espeak.engine import EspeakEngine
from mynah.engines.espeak.phonemes import MAX_WORD_PHONEMES, to_mnemonics
from mynah.engines.espeak.spoken_text import Pronunciation, prepare_text
from mynah.errors import InvalidRequest

RATE = library.SAMPLE_RATE
FRAME = RATE // 200  # 5 ms
QUIET = 0.003
# Every manner of onset: vowels, nasals, fricatives, voiced and voiceless plosives, affricates.
ENGLISH = (
    "Apple. Banana. Cat. Dog. Elephant. Fish. Garden. House. Jump. Kettle. Lamp. Moon. Orange. "
    "Pencil. Queen. River. Sun. Table. Violin. Window. Yellow. Zebra. Thing. Ship. Cheese."
)
GERMAN = "Äpfel. Blumen. Käse. Tür. Öl. Straße. Gärten. Übung. Zwölf. Pferd. Füße. Schön."
RUSSIAN = "Яблоко. Ёлка. Дом. Тень. Поезд. Море. Щука. Чай. Хлеб. Песня. Гора. Жизнь."


def speak(
    text: str, profile: Profile, settings: SynthesisSettings | None = None
) -> tuple[Samples, list[WordEvent]]:
    blocks = list(EspeakEngine().synthesize(text, profile, settings or SynthesisSettings()))
    samples = np.concatenate([block.waveform.samples for block in blocks])
    return samples, [word for block in blocks for word in block.words]


def builtin(name: str) -> Profile:
    return EspeakEngine().builtin_profile(name, name.partition("+")[0])


@pytest.fixture(scope="module")
def cloned() -> Profile:
    samples, _ = speak(ENGLISH, builtin("en-us+m3"))
    return EspeakEngine().prepare_profile([Waveform(samples, RATE)], "en-us")


def sounding_stretches(samples: Samples) -> list[tuple[float, float]]:
    """Where it sounds, by energy alone, in seconds; gaps under 90 ms are closures, not pauses."""
    count = samples.size // FRAME
    levels = np.sqrt(np.square(samples[: count * FRAME].reshape(count, FRAME)).mean(axis=1))
    loud = np.flatnonzero(levels > QUIET)
    edges = np.flatnonzero(np.diff(loud) > 18)
    starts = np.concatenate([[loud[0]], loud[edges + 1]])
    ends = np.concatenate([loud[edges], [loud[-1]]]) + 1
    return [
        (start * FRAME / RATE, end * FRAME / RATE) for start, end in zip(starts, ends, strict=True)
    ]


@pytest.mark.parametrize(
    ("voice", "text"),
    [("en-us", ENGLISH), ("en-gb-x-rp", ENGLISH), ("de+m3", GERMAN), ("ru", RUSSIAN)],
)
@pytest.mark.parametrize("rate", [0.7, 1.0, 1.5])
def test_words_begin_and_end_where_they_are_heard(voice: str, text: str, rate: float) -> None:
    samples, words = speak(text, builtin(voice), SynthesisSettings(rate=rate))
    heard = sounding_stretches(samples)
    assert len(heard) == len(words) == text.count(".")
    for word, (start_s, end_s) in zip(words, heard, strict=True):
        name = text[word.text_start : word.text_end]
        assert word.start_s == pytest.approx(start_s, abs=0.02), name
        assert word.end_s == pytest.approx(end_s, abs=0.03), name


def test_words_begin_where_they_are_heard_in_a_voice_with_an_echo() -> None:
    samples, words = speak(ENGLISH, builtin("en-us+f3"))
    starts = [start_s for start_s, _ in sounding_stretches(samples)]
    assert [word.start_s for word in words] == pytest.approx(starts, abs=0.02)


def test_shaped_speech_keeps_the_time_of_the_words(cloned: Profile) -> None:
    plain, words = speak(ENGLISH, cloned, SynthesisSettings(similarity=0.0))
    shaped, shaped_words = speak(ENGLISH, cloned, SynthesisSettings(similarity=1.0))
    assert shaped_words == words
    assert shaped.size == plain.size
    # Whether it still sounds at those times: 10 ms of energy against the pause before.
    for word in shaped_words[1:]:
        onset, before = int(word.start_s * RATE), int((word.start_s - 0.04) * RATE)
        energy = np.square(shaped[onset : onset + RATE // 20]).mean()
        assert energy > 10 * np.square(shaped[before : before + RATE // 50]).mean()


def test_words_in_running_speech_meet_without_gaps_or_overlap() -> None:
    text = "Nobody knew where all of the children were going today"
    _, words = speak(text, builtin("en-us"))
    assert [text[word.text_start : word.text_end] for word in words] == text.split()
    for one, other in pairwise(words):
        assert 0 <= other.start_s - one.end_s < 0.15
        assert 0.03 < one.end_s - one.start_s < 0.8


def test_a_number_is_one_word_and_signs_that_are_not_read_are_none() -> None:
    text = "It has 1234 lamps ~ and 5 doors."
    samples, words = speak(text, builtin("en-us"))
    by_name = {text[word.text_start : word.text_end]: word for word in words}
    assert by_name["1234"].end_s - by_name["1234"].start_s > 1.0
    assert by_name["doors"].end_s == pytest.approx(sounding_stretches(samples)[-1][1], abs=0.02)


def test_a_phoneme_span_keeps_the_words_in_their_place() -> None:
    text = "I say tomato. Not [[tomato]]. You see."
    start = text.index("tomato")
    spans = (PhonemeSpan(start=start, end=start + 6, ipa="təˈmɑːtəʊ"),)
    samples, words = speak(text, builtin("en-gb"), SynthesisSettings(phonemes=spans))
    names = [text[word.text_start : word.text_end] for word in words]
    assert names == ["I", "say", "tomato", "Not", "tomato", "You", "see"]
    starts = [start_s for start_s, _ in sounding_stretches(samples)]
    for sentence_start in (words[3], words[5]):
        assert min(abs(start_s - sentence_start.start_s) for start_s in starts) < 0.02


def test_brackets_of_the_text_never_become_phonemes() -> None:
    given = prepare_text("[[[a]] b [x]]", 600, [Pronunciation(7, 8, "b|i:")])
    assert given.text == "[  a]]  [[b|i:]]  [x]]"
    assert [given.origin(given.text.index(part)) for part in ("a]]", "b|i", "x]]")] == [3, 7, 10]
    assert prepare_text(" [[a]] ", 600).text == "[[a]]"


@pytest.mark.parametrize(
    ("voice", "ipa", "mnemonics"),
    [
        ("gmw/en-US", "kæt", "k|a|t"),
        ("gmw/en-US", "ˈt͡ʃɪ.kɪn", "'|tS|I|k|I|n"),
        ("gmw/en-US", "ðə ɹʊm", "D|@ r|U|m"),
        ("gmw/en-US", "ruːm", "r|u:|m"),
        ("gmw/de", "ˈhʊnt", "'|h|U|n|t"),
        ("gmw/de", "ˈdyːnə", "'|d|y:|n|@"),
        ("roa/fr", "bɔ̃ʒuʁ", "b|O~|Z|u|r"),
        ("roa/fr", "bɔ\u0303ʒur", "b|O~|Z|u|r"),
        ("roa/es", "ˈʎaβe", "'|l^|a|B|e"),
        ("roa/es", "ˈpero", "'|p|e|R|o"),
        ("gmw/en-US", "k]]a", "k|a"),  # nobody leaves the phonemes from inside
    ],
)
def test_ipa_becomes_the_mnemonics_of_the_language(voice: str, ipa: str, mnemonics: str) -> None:
    assert to_mnemonics(ipa, voice) == mnemonics


@pytest.mark.parametrize(
    ("ipa", "named"),
    [
        ("kʘt", "ʘ"),
        ("", "empty"),
        ("ˈ", "60"),
        ("a" * (MAX_WORD_PHONEMES + 1), "60"),
        ("kat|5", "5"),
        ("中", "中"),
    ],
)
def test_what_is_no_phoneme_is_refused_by_name(ipa: str, named: str) -> None:
    with pytest.raises(InvalidRequest, match=named) as refused:
        to_mnemonics(ipa, "gmw/en-US")
    assert refused.value.code == "unsupported_phoneme"


@pytest.mark.parametrize("span", [(3, 3), (4, 99), (2, 5)])
def test_phonemes_outside_the_text_or_across_each_other_are_refused(span: tuple[int, int]) -> None:
    first = PhonemeSpan(start=0, end=3, ipa="a")
    spans = (first, PhonemeSpan(start=span[0], end=span[1], ipa="a"))
    with pytest.raises(InvalidRequest) as refused:
        speak("One two three.", builtin("en-us"), SynthesisSettings(phonemes=spans))
    assert refused.value.code == "invalid_phonemes"
