"""Cut a text into pieces that an engine can speak, with the pause that follows each.

A pure function. Cuts fall at paragraph ends, else sentence ends, else clause ends, else
between words; inside a word only when the word alone is longer than a piece.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

PARAGRAPH_PAUSE_MS = 700
SENTENCE_PAUSE_MS = 350
CLAUSE_PAUSE_MS = 150
NO_PAUSE_MS = 0

_PARAGRAPH_END = re.compile(r"\n\s*\n")
# A sentence ends at .!?… (with closing quotes) before white space and something that is not
# lower case, or at the full-width marks of Chinese and Japanese.
_SENTENCE_END = re.compile(r"""(?:[.!?…]+["'”’»)\]]*(?=\s+[^a-zà-ÿ\s])|[。！？]+[」』”）]*)""")
_CLAUSE_END = re.compile(r"""[,;:–—،、，；：]["'”’»)\]]*(?=\s|$)|[、，；：]""")
_ABBREVIATIONS = frozenset(
    {"mr", "mrs", "ms", "dr", "prof", "sr", "jr", "st", "vs", "e.g", "i.e", "vol", "fig", "inc"}
    | {"ltd", "bzw", "z.b", "d.h", "usw", "ca", "nr", "hr", "fr", "mme", "mlle", "p.ej", "sra"}
)


@dataclass(frozen=True, slots=True)
class TextPiece:
    """Text for one engine call and the pause after it."""

    text: str
    pause_after_ms: int


def split_text(text: str, max_characters: int) -> list[TextPiece]:
    """Pieces of at most ``max_characters``, in order; sentences are kept together.

    Nothing but white space at the cuts is lost.
    """
    if max_characters < 1:
        raise ValueError("max_characters must be positive")
    pieces: list[TextPiece] = []
    for paragraph in _PARAGRAPH_END.split(text):
        words = " ".join(paragraph.split())
        if words:
            pieces.extend(_split_paragraph(words, max_characters))
    if pieces:
        pieces[-1] = TextPiece(pieces[-1].text, NO_PAUSE_MS)
    return pieces


def _split_paragraph(paragraph: str, limit: int) -> Iterator[TextPiece]:
    sentences = list(_iter_sentences(paragraph))
    packed = ""
    for sentence in sentences:
        if packed and len(packed) + 1 + len(sentence) > limit:
            yield TextPiece(packed, SENTENCE_PAUSE_MS)
            packed = ""
        if len(sentence) > limit:
            *heads, packed = _split_sentence(sentence, limit)
            yield from (TextPiece(head, CLAUSE_PAUSE_MS) for head in heads)
        else:
            packed = f"{packed} {sentence}".strip()
    yield TextPiece(packed, PARAGRAPH_PAUSE_MS)


def _iter_sentences(paragraph: str) -> Iterator[str]:
    start = 0
    for match in _SENTENCE_END.finditer(paragraph):
        sentence = paragraph[start : match.end()].strip()
        if sentence and not _ends_in_abbreviation(sentence):
            yield sentence
            start = match.end()
    rest = paragraph[start:].strip()
    if rest:
        yield rest


def _ends_in_abbreviation(sentence: str) -> bool:
    if not sentence.endswith("."):
        return False
    word = sentence[:-1].rsplit(" ", 1)[-1].lower().strip("(\"'“‘«[")
    return word in _ABBREVIATIONS or (len(word) == 1 and word.isalpha())


def _split_sentence(sentence: str, limit: int) -> list[str]:
    parts: list[str] = []
    rest = sentence
    while len(rest) > limit:
        cut = _last_cut(rest, limit)
        parts.append(rest[:cut].strip())
        rest = rest[cut:].strip()
    return [*parts, rest] if rest else parts


def _last_cut(text: str, limit: int) -> int:
    ends = [match.end() for match in _CLAUSE_END.finditer(text, 0, limit)]
    if ends and ends[-1] >= limit // 3:
        return ends[-1]
    space = text.rfind(" ", 0, limit + 1)
    return space if space > 0 else limit
