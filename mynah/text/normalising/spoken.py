"""Replacements in a text, and the text that comes out, word by word."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import regex

from mynah.text.scripts import IDEOGRAPHIC

# What a match is read as in a language, a lower-case BCP-47 tag; None leaves it as written.
Reader = Callable[[re.Match[str], str], str | None]


@dataclass(frozen=True, slots=True)
class Replacement:
    """Characters of a text that are read as ``spoken``; with ``ipa``, pronounced so."""

    start: int
    end: int
    spoken: str
    ipa: str | None = None


@dataclass(frozen=True, slots=True)
class AlignedWord:
    """A spoken word and the characters of the text that it stands for."""

    start: int
    end: int
    text_start: int
    text_end: int


@dataclass(slots=True)
class SpokenText:
    """What is read, its words, and ``(start, end, ipa)`` of what is pronounced as given."""

    text: str = ""
    words: list[AlignedWord] = field(default_factory=list)
    phonemes: list[tuple[int, int, str]] = field(default_factory=list)


def always(words: str) -> Reader:
    """The reader that reads everything as ``words``."""

    def read(_match: re.Match[str], _language: str) -> str:
        return words

    return read


class Replacements:
    """The replacements of one text: none over another, the first to come stays."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._found: list[Replacement] = []
        self._taken = bytearray(len(text))

    def add(self, replacement: Replacement) -> None:
        """Take the replacement's characters, if none of them is taken."""
        span = slice(replacement.start, replacement.end)
        if not any(self._taken[span]):
            self._found.append(replacement)
            self._taken[span] = bytes([1]) * (replacement.end - replacement.start)

    def add_matches(self, pattern: re.Pattern[str], read: Reader, language: str) -> None:
        """Replace what ``pattern`` finds by what ``read`` makes of it in ``language``."""
        for match in pattern.finditer(self.text):
            if match.end() > match.start() and not self._taken[match.start()]:
                spoken = read(match, language)
                if spoken is not None:
                    self.add(Replacement(*match.span(), spoken))

    def drop_matches(self, pattern: regex.Pattern[str]) -> None:
        """Leave out what ``pattern`` finds."""
        for match in pattern.finditer(self.text):
            if match.end() > match.start():
                self.add(Replacement(*match.span(), ""))

    def in_order(self) -> list[Replacement]:
        """All of them, from left to right."""
        return sorted(self._found, key=lambda replacement: replacement.start)


_TOKEN: Final = regex.compile(
    rf"\s+|[{IDEOGRAPHIC}][\p{{M}}\p{{Pe}}\p{{Pf}}\p{{Po}}]*|[^\s{IDEOGRAPHIC}]+"
)
_IDEOGRAPH: Final = regex.compile(f"[{IDEOGRAPHIC}]")
_WORD: Final = regex.compile(r"\S+")
_SPEAKABLE: Final = regex.compile(r"[\p{L}\p{N}]")


def has_speech(text: str) -> bool:
    """Whether a text holds a letter or a digit."""
    return _SPEAKABLE.search(text) is not None


def assemble(text: str, replacements: Sequence[Replacement]) -> SpokenText:
    """Carry out ``replacements``, in order and apart; white space becomes single spaces.

    What is written without a space between is one word of the text: all that is read for it
    ("three dollars fifty") stands for the whole ("$3.50").
    """
    assembly = _Assembly()
    position = 0
    for replacement in replacements:
        assembly.add_written(text, position, replacement.start)
        assembly.add_replacement(replacement)
        position = replacement.end
    assembly.add_written(text, position, len(text))
    assembly.end_word()
    assembly.spoken.text = "".join(assembly.parts).rstrip()
    return assembly.spoken


class _Assembly:
    """The spoken text as it grows."""

    def __init__(self) -> None:
        self.spoken = SpokenText()
        self.parts: list[str] = []
        self._length = 0
        self._ends_in_space = True
        self._word_start = 0  # in the spoken text
        self._word_parts: list[str] = []
        self._text_span: tuple[int, int] | None = None

    def add_written(self, text: str, start: int, end: int) -> None:
        for match in _TOKEN.finditer(text, start, end):
            token = match[0]
            if token[0].isspace():
                self.end_word()
                self._append(" ")
                continue
            if _IDEOGRAPH.match(token):
                self.end_word()
            self._extend(token, match.start(), match.end())

    def add_replacement(self, replacement: Replacement) -> None:
        start = self._length
        self._extend(replacement.spoken, replacement.start, replacement.end)
        if replacement.ipa is not None:
            self.spoken.phonemes.append((start, self._length, replacement.ipa))

    def end_word(self) -> None:
        """What was said since the last end stands for what was written since then."""
        if self._text_span is not None:
            said = "".join(self._word_parts)
            for match in _WORD.finditer(said):
                if has_speech(match[0]):
                    start, end = (self._word_start + place for place in match.span())
                    self.spoken.words.append(AlignedWord(start, end, *self._text_span))
        self._text_span = None
        self._word_start = self._length
        self._word_parts = []

    def _extend(self, said: str, text_start: int, text_end: int) -> None:
        span = self._text_span
        self._text_span = (span[0] if span else text_start, text_end)
        self._append(said)

    def _append(self, said: str) -> None:
        """Add characters; of two spaces in a row one."""
        if self._ends_in_space:
            said = said.lstrip(" ")
        if said:
            self.parts.append(said)
            self._word_parts.append(said)
            self._length += len(said)
            self._ends_in_space = said.endswith(" ")
