"""Cut a text into pieces that an engine can speak. A pure function, linear in the text's length.

Cuts fall at the ends of headings and paragraphs, else of sentences, else of clauses, else between
words; inside a word only when it alone is longer than a piece may be, and never inside a
grapheme.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mynah.errors import InvalidRequest
from mynah.text.boundaries import Boundary, find_boundaries
from mynah.text.scripts import iter_word_gaps, last_grapheme_end, word_length

MAX_WORD_CHARACTERS: Final = 2000

# What a cut costs besides the piece's distance from its wanted length (1 = twice as long as
# wanted): a sentence may come out at about twice its wanted length before it is cut in two.
_CLAUSE_COST: Final = 1.2
_WORD_COST: Final = 3.0
_SCRAP_COST: Final = 0.8  # for leaving a scrap at the end of a paragraph
_SCRAP_CHARACTERS: Final = 20
_GROWTH: Final = 1.6  # of a piece over the one before, until the usual length
# The last pieces get shorter, so that this many workers end at about the same time: a piece is at
# most this part of what remains (guided self-scheduling, Polychronopoulos and Kuck 1987).
_WORKERS: Final = 8

_SPACES = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class PieceSizes:
    """Wanted lengths in characters: a short first piece is heard early."""

    first: int = 80
    usual: int = 250
    last: int = 120


@dataclass(frozen=True, slots=True)
class Stretch:
    """Characters of a text that may share pieces; a cut falls at their end in any case.

    ``limit``: of a piece, in characters. ``boundary``: what ends there at least.
    """

    start: int
    end: int
    limit: int
    boundary: Boundary = Boundary.WORD


@dataclass(frozen=True, slots=True)
class Cut:
    """A piece's characters in the text, what ends with it, and the heading that it begins.

    ``stretch``: the index of the stretch that it lies in.
    """

    start: int
    end: int
    boundary: Boundary
    heading: str | None = None
    stretch: int = 0


def cut_text(text: str, sizes: PieceSizes, max_characters: int, language: str = "en") -> list[Cut]:
    """Pieces of at most ``max_characters``, in order; only white space lies between them.

    Raises InvalidRequest (``word_too_long``) for a word of more than 2,000 characters.
    """
    return cut_stretches(text, [Stretch(0, len(text), max_characters)], sizes, language)


def cut_stretches(
    text: str,
    stretches: Sequence[Stretch],
    sizes: PieceSizes,
    language: str,
    atoms: Sequence[tuple[int, int]] = (),
) -> list[Cut]:
    """Cut every stretch; the lengths follow from the whole. ``atoms`` are kept in one piece.

    ``stretches`` and ``atoms`` are in order and do not overlap. An atom is cut only when it is
    longer than a piece may be. Raises InvalidRequest (``word_too_long``).
    """
    if any(stretch.limit < 1 for stretch in stretches):
        raise ValueError("a piece's limit must be positive")
    _refuse_long_words(text)
    return list(_Cutter(text, sizes, language, atoms).iter_cuts(stretches))


class _Cutter:
    """Walks over a text once, from cut to cut."""

    def __init__(
        self, text: str, sizes: PieceSizes, language: str, atoms: Sequence[tuple[int, int]]
    ) -> None:
        self._text = text
        self._sizes = sizes
        self._atoms = atoms
        self._atom_starts = [start for start, _ in atoms]
        found = find_boundaries(text, language)
        self._headings = found.headings
        self._positions, self._kinds = found.positions, found.kinds
        if atoms:
            pairs = zip(found.positions, found.kinds, strict=True)
            free = [pair for pair in pairs if not self._is_in_atom(pair[0])]
            self._positions = [position for position, _ in free]
            self._kinds = [kind for _, kind in free]
        self._hard = [
            position
            for position, kind in zip(self._positions, self._kinds, strict=True)
            if kind >= Boundary.PARAGRAPH
        ]
        self._growing = float(sizes.first)

    def iter_cuts(self, stretches: Sequence[Stretch]) -> Iterator[Cut]:
        for number, stretch in enumerate(stretches):
            start = self._skip_spaces(stretch.start, stretch.end)
            while start < stretch.end:
                cut = self._next_cut(start, stretch, number)
                yield cut
                start = self._skip_spaces(cut.end, stretch.end)

    def _next_cut(self, start: int, stretch: Stretch, number: int) -> Cut:
        index = bisect_right(self._hard, start)
        hard = self._hard[index] if index < len(self._hard) else stretch.end
        block_end = min(hard, stretch.end)
        end = self._choose_end(start, block_end, stretch.limit)
        kind = self._kind_at(end, stretch)
        trimmed = start + len(self._text[start:end].rstrip())
        return Cut(start, trimmed, kind, self._headings.get(start), number)

    def _kind_at(self, end: int, stretch: Stretch) -> Boundary:
        """What ends at ``end``, white space behind it included."""
        kind = Boundary.WORD
        last = self._skip_spaces(end, len(self._text))
        index = bisect_left(self._positions, end)
        while index < len(self._positions) and self._positions[index] <= last:
            kind = max(kind, self._kinds[index])
            index += 1
        return max(kind, stretch.boundary) if last >= stretch.end else kind

    def _skip_spaces(self, start: int, end: int) -> int:
        match = _SPACES.match(self._text, start, end)
        return match.end() if match else start

    def _wanted_length(self, start: int, limit: int) -> int:
        remaining = len(self._text) - start
        wanted = min(self._growing, max(self._sizes.last, remaining / _WORKERS), limit)
        self._growing = min(self._growing * _GROWTH, self._sizes.usual)
        return max(1, int(wanted))

    def _choose_end(self, start: int, block_end: int, limit: int) -> int:
        """The cheapest cut after ``start``."""
        wanted = self._wanted_length(start, limit)
        best, best_cost = 0, float("inf")
        if block_end - start <= limit:
            best, best_cost = block_end, abs(block_end - start - wanted) / wanted
        positions, middle = self._positions, start + wanted
        last = min(start + limit, block_end - 1)
        for index in range(bisect_right(positions, start), len(positions)):
            end = positions[index]
            distance = abs(end - middle) / wanted
            if end > last or (end > middle and distance >= best_cost):
                break  # what follows is farther away, and costs more
            cost = distance
            if self._kinds[index] is Boundary.CLAUSE:
                cost += _CLAUSE_COST
            if block_end - end < _SCRAP_CHARACTERS:
                cost += _SCRAP_COST
            if cost < best_cost:
                best, best_cost = end, cost
        if best_cost <= _WORD_COST:
            return best
        gap = self._word_gap(start, block_end, wanted, limit)
        if gap and best_cost > _WORD_COST + abs(gap - start - wanted) / wanted:
            return gap
        return best or _last_or_refuse(self._text, start, limit)

    def _word_gap(self, start: int, block_end: int, wanted: int, limit: int) -> int:
        """The place between words nearest to the wanted length, 0 when there is none."""
        gaps = iter_word_gaps(self._text, start, min(start + limit, block_end - 1))
        if self._atoms:
            gaps = [gap for gap in gaps if not self._is_in_atom(gap)]
        return min(gaps, key=lambda gap: abs(gap - start - wanted), default=0)

    def _is_in_atom(self, position: int) -> bool:
        index = bisect_left(self._atom_starts, position) - 1
        return index >= 0 and position < self._atoms[index][1]


def _last_or_refuse(text: str, start: int, limit: int) -> int:
    """The last grapheme's end within ``limit``; a word too long for a piece is cut there."""
    end = last_grapheme_end(text, start, limit)
    if end <= start:
        raise _word_too_long(start)
    return end


def _refuse_long_words(text: str) -> None:
    """Look closer only where a run without white space is that long: most texts have none."""
    if max(map(len, text.split()), default=0) <= MAX_WORD_CHARACTERS:
        return
    start = 0
    while start < len(text):
        length = word_length(text, start)
        if length > MAX_WORD_CHARACTERS:
            raise _word_too_long(start)
        start += length or 1


def _word_too_long(start: int) -> InvalidRequest:
    message = f"The word at offset {start} has more than {MAX_WORD_CHARACTERS} characters."
    return InvalidRequest(message, code="word_too_long", fields={"text": [message]})
