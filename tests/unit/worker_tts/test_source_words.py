"""Spoken words are given back in the characters of the request."""

from __future__ import annotations

import numpy as np
import pytest

from mynah.audio.waveform import Waveform
from mynah.contracts.speech import SpokenWord, WordSpan
from mynah.db.models import Piece
from mynah.engines.base import WordEvent
from services.worker_tts.source_words import map_words
from services.worker_tts.takes import Take
from tests.unit.audio.signals import silence, tone

SILENCE = silence(1.0)


def piece(text: str, start: int = 0, end: int = 0) -> Piece:
    return Piece(text=text, source_start=start, source_end=end)


def events(*spans: tuple[int, int]) -> tuple[WordEvent, ...]:
    """One word a second, in the order given."""
    return tuple(
        WordEvent(float(number), number + 0.9, start, end)
        for number, (start, end) in enumerate(spans)
    )


def shown(words: list[SpokenWord], source: str) -> list[tuple[str, float, float]]:
    return [(source[w.source_start : w.source_end], w.start_s, w.end_s) for w in words]


def test_a_verbatim_piece_maps_character_for_character() -> None:
    source = "First. The lamp is lit."
    take = Take(SILENCE, events((0, 3), (4, 8), (9, 11), (12, 15)))
    words = map_words(piece("The lamp is lit.", 7, 23), (), source, take)
    assert shown(words, source) == [
        ("The", 0.0, 0.9),
        ("lamp", 1.0, 1.9),
        ("is", 2.0, 2.9),
        ("lit", 3.0, 3.9),
    ]


def test_what_was_written_otherwise_is_one_word_from_its_first_to_its_last() -> None:
    source = "In 1984 Dr. Who left."
    text = "In nineteen eighty-four doctor Who left."
    spans = (
        WordSpan(start=0, end=2, source_start=0, source_end=2),
        WordSpan(start=3, end=23, source_start=3, source_end=7),
        WordSpan(start=24, end=30, source_start=8, source_end=11),
        WordSpan(start=31, end=40, source_start=12, source_end=21),
    )
    take = Take(SILENCE, events((0, 2), (3, 11), (12, 23), (24, 30), (31, 34), (35, 39)))
    words = map_words(piece(text, 0, 21), spans, source, take)
    assert shown(words, source) == [
        ("In", 0.0, 0.9),
        ("1984", 1.0, 2.9),
        ("Dr.", 3.0, 3.9),
        ("Who", 4.0, 4.9),
        ("left", 5.0, 5.9),
    ]


def test_a_word_across_two_stretches_covers_both() -> None:
    source = "a-b c"
    spans = (
        WordSpan(start=0, end=2, source_start=0, source_end=1),
        WordSpan(start=2, end=4, source_start=2, source_end=3),
    )
    words = map_words(piece("AaBb", 0, 3), spans, source, Take(SILENCE, events((0, 4))))
    assert shown(words, source) == [("a-b", 0.0, 0.9)]


def test_words_that_stand_for_nothing_are_left_out() -> None:
    source = "Hello."
    spans = (WordSpan(start=8, end=13, source_start=0, source_end=5),)
    take = Take(SILENCE, events((0, 7), (8, 13)))
    assert shown(map_words(piece("Chapter Hello", 0, 6), spans, source, take), source) == [
        ("Hello", 1.0, 1.9)
    ]


def test_a_changed_piece_without_spans_is_one_word_and_one_without_source_is_none() -> None:
    take = Take(SILENCE, events((0, 3), (4, 7)))
    whole = map_words(piece("one two", 0, 3), (), "1 2", take)
    assert shown(whole, "1 2") == [("1 2", 0.0, 1.9)]
    assert map_words(piece("one two"), (), "1 2", take) == []


def test_without_word_times_the_audible_part_is_shared_by_length() -> None:
    source = "abcd efghijklmn"
    sound = tone(1.5, 24000)
    padded = np.concatenate([silence(0.5).samples, sound.samples, silence(1.0).samples])
    take = Take(Waveform(padded.astype(np.float32), 24000), ())
    first, second = map_words(piece(source, 0, len(source)), (), source, take)
    assert (first.start_s, second.end_s) == (
        pytest.approx(0.5, abs=0.02),
        pytest.approx(2.0, abs=0.02),
    )
    assert first.end_s == second.start_s == pytest.approx(0.5 + 1.5 * 5 / 16, abs=0.02)
    assert map_words(piece(source, 0, 15), (), source, Take(SILENCE, ())) == []
