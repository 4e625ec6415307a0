"""Word times where an engine gives none, or gives one for several words: by proportion."""

from __future__ import annotations

from collections.abc import Sequence

from mynah.engines.base import WordEvent
from mynah.text.spoken_words import TextSpan

_GAP_CHARACTERS = 1  # what separates two words takes time too


def spread_words(words: Sequence[TextSpan], start_s: float, end_s: float) -> tuple[WordEvent, ...]:
    """``words`` one after another from ``start_s`` to ``end_s``, each as long as its characters."""
    lengths = [word.end - word.start + _GAP_CHARACTERS for word in words]
    per_character_s = (end_s - start_s) / max(1, sum(lengths))
    events: list[WordEvent] = []
    begun = 0
    for word, length in zip(words, lengths, strict=True):
        start = start_s + begun * per_character_s
        begun += length
        end = start_s + begun * per_character_s
        events.append(WordEvent(start, end, word.start, word.end))
    return tuple(events)
