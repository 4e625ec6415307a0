"""A text that comes in increments, given on by whole sentences."""

from __future__ import annotations

from mynah.errors import InvalidRequest
from mynah.text.boundaries import Boundary, find_boundaries


class Increments:
    """What has come and was not given on. ``limit``: characters of one utterance."""

    def __init__(self, language: str, limit: int) -> None:
        self._language = language
        self._limit = limit
        self._text = ""

    def add(self, text: str) -> list[str]:
        """Take an increment; the whole sentences that are there now, as utterances.

        Raises InvalidRequest (``text_too_long``) for a sentence that is longer than one may be.
        """
        self._text += text
        utterances = []
        while end := last_end(self._text[: self._limit], self._language, Boundary.SENTENCE):
            utterances.append(self._text[:end])
            self._text = self._text[end:]
        if len(self._text) > self._limit:
            message = f"A sentence is longer than {self._limit}."
            raise InvalidRequest(message, code="text_too_long")
        return utterances

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
