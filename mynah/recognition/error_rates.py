"""How far what was heard is from what was to be said."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from mynah.text.spoken_words import find_words


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Edits per word and per character of the reference; above 1 where much was made up."""

    words: float
    characters: float


def compare_texts(reference: str, heard: str) -> ErrorRates:
    """Word and character error rate, case, punctuation and composition left out of account.

    An empty reference has rates of 0 when nothing was heard, else 1.
    """
    wanted, got = _words_of(reference), _words_of(heard)
    if not wanted:
        rate = 1.0 if got else 0.0
        return ErrorRates(rate, rate)
    wanted_text, got_text = "".join(wanted), "".join(got)
    return ErrorRates(
        edit_distance(wanted, got) / len(wanted),
        edit_distance(wanted_text, got_text) / len(wanted_text),
    )


def edit_distance(wanted: Sequence[str], got: Sequence[str]) -> int:
    """Insertions, deletions and replacements from one to the other (V. Levenshtein, 1966)."""
    row = list(range(len(got) + 1))
    for number, one in enumerate(wanted, 1):
        above, row[0] = row[0], number
        for index, other in enumerate(got, 1):
            above, row[index] = (
                row[index],
                min(row[index] + 1, row[index - 1] + 1, above + (one != other)),
            )
    return row[-1]


def _words_of(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).casefold()
    words = (plain[word.start : word.end] for word in find_words(plain))
    kept = ("".join(filter(_is_heard, word)) for word in words)
    return [word for word in kept if word]


def _is_heard(character: str) -> bool:
    """Letters, marks and digits; not the apostrophe that some write and some do not."""
    return unicodedata.category(character)[0] in "LMN"
