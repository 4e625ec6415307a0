"""What the world's scripts ask of anyone who cuts text: graphemes, and words without spaces."""

from __future__ import annotations

from typing import Final

import regex

# Han, Hiragana and Katakana: a character is as good as a word.
IDEOGRAPHIC: Final = r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ー々"
# Scripts that put no space between words.
UNSPACED: Final = (
    IDEOGRAPHIC
    + r"\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}"
    + r"\p{Script=Javanese}\p{Script=Balinese}"
)

# What must not begin a line there: vowels and signs that belong to the consonant before, small
# kana, repetition marks.
_NOT_FIRST = r"\p{M}ะาำๅๆฯະາຳໆຯー々〻ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ"
# What must not end one: vowels written before their consonant, and the stackers of Khmer and
# Burmese, which a grapheme does not always keep with what they stack.
_NOT_LAST = "เแโใไເແໂໃໄ\u17d2\u1039\u200d([{（［｛「『【《〈“‘«‹"

# Where a text may be cut between words: before white space that is not inside a number, or
# between characters of scripts without spaces.
_WORD_GAP = regex.compile(
    rf"(?<=\S)(?=\s)(?!(?<=\d)\s+\d)"
    rf"|(?<=[^\s{_NOT_LAST.replace('[', chr(92) + '[')}])(?=[[{UNSPACED}]--[{_NOT_FIRST}]])",
    regex.VERSION1,
)
_SPACE_GAP = regex.compile(r"(?<=\S)(?=\s)")
_AHEAD_CHARACTERS: Final = 8  # that a gap must see behind it
_GRAPHEME = regex.compile(r"\X")
# The letters of one word, as far as they go. Possessive: a million of them fail at once.
_LETTERS = regex.compile(rf"[[\p{{L}}\p{{M}}\p{{N}}]--[{UNSPACED}]]*+", regex.VERSION1)


def iter_word_gaps(text: str, start: int, end: int) -> list[int]:
    """Positions after ``start`` and up to ``end`` where a cut falls between words.

    Those inside a number written with spaces only where there are no others.
    """
    for pattern in (_WORD_GAP, _SPACE_GAP):
        found = pattern.finditer(text, start, end + _AHEAD_CHARACTERS)
        gaps = [gap.start() for gap in found if start < gap.start() <= end]
        if gaps:
            return gaps
    return []


def last_grapheme_end(text: str, start: int, limit: int) -> int:
    """The last position up to ``start + limit`` that does not cut a grapheme in two.

    ``start`` itself when the grapheme that begins there is longer than ``limit``.
    """
    if len(text) <= start + limit:
        return len(text)
    last = start
    # One character more than allowed: a grapheme that reaches it may go on behind it.
    for match in _GRAPHEME.finditer(text, start, start + limit + 1):
        if match.end() > start + limit:
            break
        last = match.end()
    return last


def word_length(text: str, start: int) -> int:
    """How many letters, marks and digits follow ``start`` without anything between."""
    match = _LETTERS.match(text, start)
    return len(match[0]) if match else 0
