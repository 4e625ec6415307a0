"""From eSpeak's word marks to the times of the text's own words."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from mynah.engines.base import WordEvent
from mynah.engines.espeak.library import SAMPLE_RATE, Int16Samples, SpokenBlock
from mynah.engines.espeak.spoken_text import SpokenText
from mynah.engines.word_times import spread_words
from mynah.text.spoken_words import TextSpan, find_words

_AUDIBLE = 130  # of 32768, -48 dBFS: the closure before a "t" lies below, its burst far above


class WordTimer:
    """Takes an utterance's blocks; gives each word when the next one begins.

    A word lasts from its first to its last audible sample: eSpeak marks the closure before a
    plosive, up to 80 ms before anything is heard, and pauses follow the word before them. Words
    without a mark of their own share the time of the one before.
    """

    def __init__(self, text: str, spoken: SpokenText) -> None:
        self._text = text
        self._spoken = spoken
        self._words = find_words(text)
        self._ends = [word.end for word in self._words]
        self._current: int | None = None  # index of the word that is being spoken
        self._start = 0  # the sample at which it was marked
        self._held: list[Int16Samples] = []  # the samples from there on
        self._total = 0

    def add(self, block: SpokenBlock) -> tuple[WordEvent, ...]:
        """Take the next block; the words that ended."""
        self._held.append(block.samples)
        self._total += block.samples.size
        finished: list[WordEvent] = []
        for mark in block.marks:
            index = bisect_right(self._ends, self._spoken.origin(mark.position))
            if index < len(self._words) and (self._current is None or index > self._current):
                finished += self._close(index, mark.sample)
                self._current = index
        return tuple(finished)

    def finish(self) -> tuple[WordEvent, ...]:
        """The words that lasted until the end."""
        return tuple(self._close(len(self._words), self._total))

    def _close(self, until: int, sample: int) -> Sequence[WordEvent]:
        """End what began at ``_start``, the words from the current one up to ``until``."""
        held = np.concatenate([np.zeros(0, np.int16), *self._held])
        cut = min(max(0, sample - self._start), held.size)
        start, self._start, self._held = self._start, self._start + cut, [held[cut:]]
        if self._current is None:
            return ()
        first, end = _audible_bounds(held[:cut])
        words = self._spoken_of(self._current, until)
        return spread_words(words, (start + first) / SAMPLE_RATE, (start + end) / SAMPLE_RATE)

    def _spoken_of(self, first: int, until: int) -> list[TextSpan]:
        """Words of one mark; a sign among them that has no mark of its own was not spoken."""
        rest = self._words[first + 1 : until]
        return [
            self._words[first],
            *(w for w in rest if any(map(str.isalnum, self._text[w.start : w.end]))),
        ]


def _audible_bounds(samples: Int16Samples) -> tuple[int, int]:
    """The first audible sample and the one after the last; all when nothing is audible."""
    audible = np.flatnonzero((samples > _AUDIBLE) | (samples < -_AUDIBLE))
    return (int(audible[0]), int(audible[-1]) + 1) if audible.size else (0, samples.size)
