"""A text that comes in increments, given on by whole sentences."""

from __future__ import annotations

from mynah.errors import InvalidRequest
from mynah.text.boundaries import Boundary, find_boundaries


class Increments:
    """What has come and was not given on. ``limit``: characters that one sentence may have."""

    def __init__(self, language: str, limit: int) -> None:
        self._language = language
        self._limit = limit
        self._text = ""

    def add(self, text: str) -> str:
        """Take an increment; the whole sentences that are there now, "" for none.

        Raises InvalidRequest (``text_too_long``).
        """
        self._text += text
        length = last_end(self._text, self._language, Boundary.SENTENCE)
        if len(self._text) - length > self._limit:
            message = f"A sentence is longer than {self._limit}."
            raise InvalidRequest(message, code="text_too_long")
        complete, self._text = self._text[:length], self._text[length:]
        return complete

    def take_all(self) -> str:
        """All that is left."""
        text, self._text = self._text, ""
        return text


def last_end(text: str, language: str, weakest: Boundary) -> int:
    """Where the last sentence, or whatever is at least ``weakest``, ends; 0: nowhere.

    Something follows there: what stands at the end of a text may go on.
    """
    found = find_boundaries(text, language)
    ends = [
        position
        for position, kind in zip(found.positions, found.kinds, strict=True)
        if kind >= weakest and text[position:].strip()
    ]
    return ends[-1] if ends else 0
