"""Markup in square brackets: ``[pause 1.5s]``, ``[voice Anna]…[/voice]``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Final, Literal

from mynah.text.boundaries import Boundary
from mynah.text.marked_text import MarkedTextBuilder, Style
from mynah.text.markup_values import (
    DEFAULT_BREAK_MS,
    MAX_DEPTH,
    BadValue,
    apply_emphasis,
    markup_error,
    parse_pause_ms,
    shift_style,
)

UnknownTags = Literal["error", "speak"]

# A tag begins with a letter: [1] is a footnote. A backslash in front makes a bracket a bracket.
# Nothing taken is given back: with a tag that never ends, time would grow with its square.
_TOKEN = re.compile(r"\\\[|\[(/?)([A-Za-z][\w-]{0,30})(?:[ \t:=]++([^\[\]\n]{0,200}+))?[ \t]*+\]")
_ANY_TAG = re.compile(r"\[/?[A-Za-z][^\[\]\n]{0,240}\]?")


def _apply_voice(style: Style, value: str) -> Style:
    name = value.strip().strip("\"'“”").strip()
    if not name:
        raise BadValue("the tag names no voice, as in [voice Anna]")
    return replace(style, voice=name)


def _apply_language(style: Style, value: str) -> Style:
    return replace(style, language=parse_language_tag(value))


def _apply_shift(rate: float = 1.0, volume: float = 1.0) -> Callable[[Style, str], Style]:
    def apply(style: Style, value: str) -> Style:
        _refuse_value(value)
        return shift_style(style, rate=rate, volume=volume)

    return apply


def _apply_emphasis(style: Style, value: str) -> Style:
    _refuse_value(value)
    return apply_emphasis(style, "strong")


def _refuse_value(value: str) -> None:
    if value.strip():
        raise BadValue(f"the tag takes no value, not {value.strip()[:40]!r}")


def parse_language_tag(value: str) -> str:
    """A BCP-47 tag as written. Raises BadValue."""
    tag = value.strip()
    if not re.fullmatch(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,4}", tag):
        raise BadValue(f"{tag[:40]!r} is not a language tag such as en-GB")
    return tag


_PAIRED: Final = MappingProxyType(
    {
        "voice": _apply_voice,
        "lang": _apply_language,
        "slow": _apply_shift(rate=0.75),
        "fast": _apply_shift(rate=1.25),
        "soft": _apply_shift(volume=0.5),
        "loud": _apply_shift(volume=1.5),
        "emphasis": _apply_emphasis,
    }
)
_PAUSES: Final = frozenset({"pause", "break"})


def read_brackets(
    builder: MarkedTextBuilder, source: str, start: int, end: int, unknown_tags: UnknownTags
) -> None:
    """Add ``source[start:end]`` to ``builder``. Raises InvalidRequest (``invalid_markup``)."""
    _BracketReader(builder, source, unknown_tags).read(start, end)


class _BracketReader:
    """Walks over a source; a stack holds the open tags, so depth costs nothing."""

    def __init__(self, builder: MarkedTextBuilder, source: str, unknown_tags: UnknownTags) -> None:
        self._builder = builder
        self._source = source
        self._unknown_tags = unknown_tags
        self._open: list[tuple[str, Style, int]] = []  # name, style around it, offset

    def read(self, start: int, end: int) -> None:
        position = start
        for match in _TOKEN.finditer(self._source, start, end):
            self._add_text(position, match.start())
            position = match.end()
            if match[0] == "\\[":
                self._builder.add_character("[", match.start(), match.end())
            else:
                self._read_tag(match)
        self._add_text(position, end)
        if self._open:
            name, _, offset = self._open[-1]
            raise markup_error(self._source, offset, f"[{name}] is never closed.")

    def _read_tag(self, match: re.Match[str]) -> None:
        name, value = match[2].lower(), match[3] or ""
        is_closing = bool(match[1])
        if name not in _PAIRED and name not in _PAUSES:
            self._read_unknown(match.start(), match.end())
            return
        try:
            if name in _PAUSES:
                self._pause(value, is_closing)
                self._separate(match)
            elif is_closing:
                self._close(name)
            else:
                self._open_tag(name, value, match.start())
                if name == "voice":
                    self._separate(match)
        except BadValue as error:
            problem = f"{match[0][:60]}: {error}."
            raise markup_error(self._source, match.start(), problem) from error

    def _separate(self, match: re.Match[str]) -> None:
        """A space that stands for the tag: what it parts are two words."""
        self._builder.add_character(" ", match.start(), match.end())

    def _pause(self, value: str, is_closing: bool) -> None:
        if is_closing:
            raise BadValue("a pause has no end")
        pause_ms = parse_pause_ms(value) if value.strip() else DEFAULT_BREAK_MS
        self._builder.end_stretch(Boundary.WORD, pause_ms)

    def _open_tag(self, name: str, value: str, offset: int) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise BadValue(f"tags are nested deeper than {MAX_DEPTH}")
        style = self._builder.style
        self._builder.set_style(_PAIRED[name](style, value))
        self._open.append((name, style, offset))

    def _close(self, name: str) -> None:
        if not self._open or self._open[-1][0] != name:
            expected = f"[/{self._open[-1][0]}]" if self._open else "no closing tag"
            raise BadValue(f"{expected} is expected here")
        self._builder.set_style(self._open.pop()[1])

    def _add_text(self, start: int, end: int) -> None:
        """Text between tags; in it may be what looks like a tag and is none."""
        if self._unknown_tags == "error":
            looks_like = _ANY_TAG.search(self._source, start, end)
            if looks_like:
                self._read_unknown(looks_like.start(), looks_like.end())
        self._builder.add_text(self._source, start, end)

    def _read_unknown(self, start: int, end: int) -> None:
        tag = self._source[start:end]
        if self._unknown_tags == "error":
            raise markup_error(self._source, start, f"{tag[:60]} is no known tag.")
        self._builder.add_text(self._source, start, end)
