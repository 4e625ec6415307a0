"""When each character of a text is heard, from the times of its words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mynah.text.subtitles import TimedWord


@dataclass(frozen=True, slots=True)
class CharacterTimes:
    """One entry per character of a text, in seconds of the audio; never running backwards."""

    characters: list[str]
    starts_s: list[float]
    ends_s: list[float]


def align_characters(
    text: str, words: Sequence[TimedWord], start_s: float, end_s: float
) -> CharacterTimes:
    """Times of the characters of ``text``, heard from ``start_s`` to ``end_s``.

    A word's characters share its time evenly, those between two words the time between them, so
    that each ends where the next begins. Words that stand for the same characters (a number read
    in several words) count as one. ``words`` point into ``text``.
    """
    moments: list[float] = [start_s]
    for word in _in_order(words, start_s, end_s):
        moments += _spread(moments[-1], word.start_s, word.start + 1 - len(moments))
        moments += _spread(word.start_s, word.end_s, word.end + 1 - len(moments))
    moments += _spread(moments[-1], end_s, len(text) + 1 - len(moments))
    return CharacterTimes(list(text), moments[:-1], moments[1:])


def _spread(start_s: float, end_s: float, count: int) -> list[float]:
    """The ends of ``count`` equal parts of a stretch of time, none behind its end by rounding."""
    length_s = end_s - start_s
    return [min(start_s + length_s * number / count, end_s) for number in range(1, count + 1)]


def _in_order(words: Sequence[TimedWord], start_s: float, end_s: float) -> Iterator[TimedWord]:
    """The words by place, overlapping ones as one, their times within the audio and in order."""
    clock = start_s
    for word in _merged(words):
        starts = min(max(word.start_s, clock), end_s)
        clock = min(max(word.end_s, starts), end_s)
        yield TimedWord(starts, clock, word.start, word.end)


def _merged(words: Sequence[TimedWord]) -> list[TimedWord]:
    merged: list[TimedWord] = []
    for word in sorted(words, key=lambda word: (word.start, word.start_s)):
        if merged and word.start < merged[-1].end:
            last = merged.pop()
            starts, ends = min(last.start_s, word.start_s), max(last.end_s, word.end_s)
            merged.append(TimedWord(starts, ends, last.start, max(last.end, word.end)))
        else:
            merged.append(word)
    return merged
