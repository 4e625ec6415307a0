"""Cutting a text into pieces."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.errors import InvalidRequest
from mynah.text.cleaning import clean_text
from mynah.text.splitting import (
    NO_PAUSE_MS,
    PARAGRAPH_PAUSE_MS,
    SENTENCE_PAUSE_MS,
    split_text,
)


def without_space(text: str) -> str:
    return re.sub(r"\s+", "", text)


@given(st.text(max_size=2000), st.integers(1, 300))
def test_pieces_joined_give_the_text_back(text: str, limit: int) -> None:
    pieces = split_text(text, limit)
    assert without_space("".join(piece.text for piece in pieces)) == without_space(text)
    assert all(0 < len(piece.text) <= limit for piece in pieces)


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=12), min_size=1), st.integers(12, 80))
def test_no_cut_falls_inside_a_word_that_fits(words: list[str], limit: int) -> None:
    pieces = split_text(" ".join(words), limit)
    assert " ".join(piece.text for piece in pieces).split() == words


def test_sentences_stay_whole_and_paragraphs_pause_longer() -> None:
    pieces = split_text("One is here. Two is there.\n\nThree is last.", 15)
    assert [piece.text for piece in pieces] == ["One is here.", "Two is there.", "Three is last."]
    assert [piece.pause_after_ms for piece in pieces] == [
        SENTENCE_PAUSE_MS,
        PARAGRAPH_PAUSE_MS,
        NO_PAUSE_MS,
    ]


def test_abbreviations_and_initials_do_not_end_a_sentence() -> None:
    pieces = split_text("Dr. Smith met J. R. Tolkien. They talked.", 30)
    assert [piece.text for piece in pieces] == ["Dr. Smith met J. R. Tolkien.", "They talked."]


def test_chinese_is_cut_at_its_own_full_stop() -> None:
    assert [piece.text for piece in split_text("你好。我是鸟。", 4)] == ["你好。", "我是鸟。"]


def test_cleaning_keeps_the_words_and_drops_what_cannot_be_spoken() -> None:
    assert clean_text(" a\r\nb\x07c\u2028d ") == "a\nbc\nd"


@pytest.mark.parametrize("text", ["", "  \n ", "...", "a\x00b", "a\ud800b"])
def test_a_text_without_anything_to_speak_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        clean_text(text)
