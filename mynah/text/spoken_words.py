"""The words of a text, as a listener counts them: what subtitles show and what word times name."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

# Scripts without spaces whose characters each stand for about a syllable: Chinese, Japanese.
_IDEOGRAPHIC = (
    (0x3005, 0x3007),
    (0x3041, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)
# Small kana, the long mark and voicing marks belong to the character before.
_ATTACHED = frozenset("ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶー゛゜ｧｨｩｪｫｯｬｭｮｰﾞﾟ")
# Dashes and ellipses separate words even where no space does.
_RUN = re.compile(r"[^\s—―…]+")


@dataclass(frozen=True, slots=True)
class TextSpan:
    """Characters ``start`` to ``end`` of a text."""

    start: int
    end: int


def is_ideographic(character: str) -> bool:
    """Whether a character is of Chinese or Japanese script: a word of its own, two columns wide."""
    code = ord(character)
    return code >= 0x3005 and any(first <= code <= last for first, last in _IDEOGRAPHIC)


def find_words(text: str) -> list[TextSpan]:
    """The words of a text in order, without the punctuation around them.

    A word is what stands between white space, dashes or ellipses; each Chinese or Japanese
    character is one. Signs that are read aloud (``&``, ``%``, emoji) are words, punctuation
    alone is none.
    """
    words: list[TextSpan] = []
    for run in _RUN.finditer(text):
        start = run.start()
        while start < run.end():
            end = _end_of_word(text, start, run.end())
            trimmed = _trim(text, start, end)
            if trimmed is not None:
                words.append(trimmed)
            start = end
    return words


def _end_of_word(text: str, start: int, limit: int) -> int:
    """Where the word that starts here ends: after one ideograph, or before the next one."""
    if is_ideographic(text[start]):
        end = start + 1
        while end < limit and text[end] in _ATTACHED:
            end += 1
        return end
    for end in range(start + 1, limit):
        if is_ideographic(text[end]):
            return end
    return limit


def _trim(text: str, start: int, end: int) -> TextSpan | None:
    while start < end and not _is_spoken(text[start]):
        start += 1
    while end > start and not _is_spoken(text[end - 1]):
        end -= 1
    return TextSpan(start, end) if end > start else None


def _is_spoken(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMNS" or character in "&%@#"
