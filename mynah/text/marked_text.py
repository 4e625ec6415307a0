"""A text without its markup: what is to be read, how, and where each character came from."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from typing import Literal

from mynah.text.boundaries import Boundary

_MARKS = re.compile(r"[.,!?;:…'\"”’»)\]}。！？、，；：」』؟،؛।]+")

OverrideKind = Literal["alias", "phoneme", "say_as"]


@dataclass(frozen=True, slots=True)
class Style:
    """How a stretch is spoken. ``voice``, ``language`` None: the job's."""

    voice: str | None = None
    language: str | None = None
    rate: float = 1.0
    pitch_semitones: float = 0.0
    volume: float = 1.0


@dataclass(frozen=True, slots=True)
class Override:
    """Characters of the text that are read as the markup says.

    ``value``: the alias, the IPA, or what to read them as; ``detail``: the format of a date.
    """

    start: int
    end: int
    kind: OverrideKind
    value: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class MarkedStretch:
    """Characters in one style, up to a tag. ``pause_ms`` None: as the text suggests."""

    start: int
    end: int
    style: Style
    boundary: Boundary
    pause_ms: int | None


@dataclass(slots=True)
class MarkedText:
    """The outcome of reading a text's markup."""

    text: str
    stretches: list[MarkedStretch]
    overrides: list[Override]
    _run_starts: list[int]
    _run_sources: list[tuple[int, int]]  # of a run's first character; the others follow singly

    def source_span(self, start: int, end: int) -> tuple[int, int]:
        """The characters of the source that ``text[start:end]``, not empty, came from."""
        return self._source(start)[0], self._source(end - 1)[1]

    def _source(self, position: int) -> tuple[int, int]:
        index = bisect_right(self._run_starts, position) - 1
        shift = position - self._run_starts[index]
        first, after = self._run_sources[index]
        return (first, after) if shift == 0 else (after + shift - 1, after + shift)


@dataclass(slots=True)
class MarkedTextBuilder:
    """Puts a MarkedText together, from the start of the source to its end."""

    style: Style = field(default_factory=Style)
    length: int = 0
    _parts: list[str] = field(default_factory=list)
    _stretches: list[MarkedStretch] = field(default_factory=list)
    _stretch_start: int = 0
    _overrides: list[Override] = field(default_factory=list)
    _run_starts: list[int] = field(default_factory=list)
    _run_sources: list[tuple[int, int]] = field(default_factory=list)

    def add_text(self, source: str, start: int, end: int) -> None:
        """Characters of the source as they are."""
        if start < end:
            self._add(source[start:end], start, start + 1)

    def add_character(self, character: str, source_start: int, source_end: int) -> None:
        """One character that stands for several of the source: an entity, a separator."""
        self._add(character, source_start, source_end)

    def add_override(self, start: int, kind: OverrideKind, value: str, detail: str = "") -> None:
        """Override all that was added since ``start``, if anything was."""
        if start < self.length:
            self._overrides.append(Override(start, self.length, kind, value, detail))

    def end_stretch(self, boundary: Boundary = Boundary.WORD, pause_ms: int | None = None) -> None:
        """Cut here. A stretch may be empty: of two tags in a row each has its pause."""
        stretch = MarkedStretch(self._stretch_start, self.length, self.style, boundary, pause_ms)
        self._stretches.append(stretch)
        self._stretch_start = self.length

    def set_style(self, style: Style) -> None:
        """Speak what follows in another style."""
        if style != self.style and self._stretch_start < self.length:
            self.end_stretch()
        self.style = style

    def build(self) -> MarkedText:
        """The finished text."""
        self.end_stretch()
        text = "".join(self._parts)
        return MarkedText(
            text,
            _keep_marks(text, self._stretches),
            self._overrides,
            self._run_starts,
            self._run_sources,
        )

    def _add(self, text: str, source_start: int, source_end: int) -> None:
        self._run_starts.append(self.length)
        self._run_sources.append((source_start, source_end))
        self._parts.append(text)
        self.length += len(text)


def _keep_marks(text: str, stretches: list[MarkedStretch]) -> list[MarkedStretch]:
    """Let marks right behind a tag, "<emphasis>now</emphasis>!", stay with what they end."""
    kept: list[MarkedStretch] = []
    for stretch in stretches:
        marks = _MARKS.match(text, stretch.start, stretch.end)
        before = kept[-1] if kept else None
        if marks and before and before.start < before.end and before.pause_ms is None:
            kept[-1] = replace(before, end=marks.end())
            kept.append(replace(stretch, start=marks.end()))
        else:
            kept.append(stretch)
    return kept
