"""From the words that an engine spoke to the characters of the request that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mynah.audio.segment_checks import audible_bounds_s
from mynah.contracts.speech import SpokenWord, WordSpan
from mynah.db.models import Piece
from mynah.engines.base import WordEvent
from mynah.engines.word_times import spread_words
from mynah.text.spoken_words import find_words
from services.worker_tts.takes import Take


@dataclass(frozen=True, slots=True)
class _Mapping:
    """A stretch of a piece's text and what it stands for in the request's."""

    span: WordSpan
    is_verbatim: bool  # character for character

    def source(self, start: int, end: int) -> tuple[int, int]:
        """The request's characters for the part of ``start`` to ``end`` that lies in it."""
        if not self.is_verbatim:
            return self.span.source_start, self.span.source_end
        offset = self.span.source_start - self.span.start
        return max(start, self.span.start) + offset, min(end, self.span.end) + offset


def map_words(
    piece: Piece, spans: Sequence[WordSpan], source_text: str, take: Take
) -> list[SpokenWord]:
    """The spoken words of a take in the request's text, in order.

    An engine that gives no word times has its words spread over what is audible, by their
    length. ``spans`` say what stretches of the piece's text stand for: character for character
    where both texts are the same there, else as a whole. Without spans the whole piece is one
    such stretch. What stands for nothing in the request is left out.
    """
    events = take.words or _spread(piece.text, take)
    mappings = [
        _Mapping(span, _is_verbatim(piece.text, span, source_text))
        for span in spans or (_whole(piece),)
    ]
    words: list[SpokenWord] = []
    for event in events:
        covered = [
            mapping.source(event.text_start, event.text_end)
            for mapping in mappings
            if mapping.span.start < event.text_end and event.text_start < mapping.span.end
        ]
        if covered:
            starts, ends = zip(*covered, strict=True)
            _add(words, event, min(starts), max(ends))
    return words


def _add(words: list[SpokenWord], event: WordEvent, start: int, end: int) -> None:
    """Add a word that stands for some characters.

    Several that stand for the same ones become one ("1984" is read as two words).
    """
    if end <= start:
        return
    last = words[-1] if words else None
    if last is not None and start < last.source_end:
        words[-1] = last.model_copy(
            update={"end_s": round(event.end_s, 3), "source_end": max(end, last.source_end)}
        )
        return
    words.append(
        SpokenWord(
            start_s=round(event.start_s, 3),
            end_s=round(event.end_s, 3),
            source_start=start,
            source_end=end,
        )
    )


def _spread(text: str, take: Take) -> tuple[WordEvent, ...]:
    bounds = audible_bounds_s(take.waveform)
    return spread_words(find_words(text), *bounds) if bounds is not None else ()


def _whole(piece: Piece) -> WordSpan:
    return WordSpan(
        start=0,
        end=len(piece.text),
        source_start=piece.source_start,
        source_end=piece.source_end,
    )


def _is_verbatim(text: str, span: WordSpan, source_text: str) -> bool:
    return text[span.start : span.end] == source_text[span.source_start : span.source_end]
