"""Text as an app or a language model writes it, and how much of it is spoken next."""

from __future__ import annotations

from collections.abc import Sequence

from mynah.errors import Conflict
from mynah.text.boundaries import Boundary
from services.api.live.sockets.increments import last_end

DEFAULT_SCHEDULE = (120, 160, 250, 290)
#: From so many characters on a client may ask for speech at once; the least that a schedule has.
FEWEST = 50
#: The most that a schedule may ask for; a text without any mark is not waited for any longer.
_PATIENT_CHARACTERS = 500


class InputText:
    """What has come and was not spoken.

    ``schedule``: how many characters must have come for each utterance, the last number for all
    that follow; none: only what is due is spoken. ``longest``: characters of one utterance,
    ``most``: of all that may wait.
    """

    def __init__(self, language: str, schedule: Sequence[int], longest: int, most: int) -> None:
        self._language = language
        self._schedule = schedule
        self._longest = longest
        self._most = most
        self._text = ""
        self._due = 0
        self._is_asked_for = False
        self._taken = 0

    @property
    def has_due(self) -> bool:
        """Whether something has to be spoken whatever comes."""
        return self._due > 0

    @property
    def waiting(self) -> int:
        """Characters that were not spoken."""
        return len(self._text)

    def add(self, text: str) -> None:
        """Take an increment. Raises Conflict when too much waits."""
        if len(self._text) + len(text) > self._most:
            raise Conflict("Too much waits to be spoken; slow down.", code="too_much_waiting")
        self._text += text

    def ask(self) -> None:
        """Speak soon, if there is enough."""
        self._is_asked_for = True

    def flush(self) -> None:
        """All that has come is due."""
        self._due = len(self._text)

    def forget(self) -> None:
        """Drop what was not spoken."""
        self._text, self._due = "", 0

    def take(self, *, is_quiet: bool) -> str:
        """The next utterance, perhaps nothing. ``is_quiet``: nothing more came for a moment.

        It ends with a sentence, else with a clause. Where there is neither, only who waits for
        speech before they go on, and who writes without marks, gets words.
        """
        length, is_short = len(self._text), len(self._text) <= self._longest
        if self._due:
            is_whole = self._due <= self._longest
            return self._cut(self._due if is_whole else self._last_mark() or self._last_word())
        if not self._schedule or length < self._threshold:
            return ""
        if is_quiet and is_short:
            return self._cut(self._last_word())
        end = self._last_mark()
        return self._cut(end or (self._last_word() if length > _PATIENT_CHARACTERS else 0))

    @property
    def _threshold(self) -> int:
        wanted = self._schedule[min(self._taken, len(self._schedule) - 1)]
        return min(wanted, FEWEST) if self._is_asked_for else wanted

    def _last_mark(self) -> int:
        """Where the last sentence ends, else the last clause; 0: nowhere."""
        text = self._text[: self._longest]
        return last_end(text, self._language, Boundary.SENTENCE) or last_end(
            text, self._language, Boundary.CLAUSE
        )

    def _last_word(self) -> int:
        """Where the last word ends; 0: the only one may go on, unless it is too long already."""
        text = self._text[: self._longest]
        end = max(text.rfind(space) for space in " \n\t") + 1
        return end or (len(text) if len(text) < len(self._text) else 0)

    def _cut(self, end: int) -> str:
        taken, self._text = self._text[:end], self._text[end:]
        self._due = max(0, self._due - end)
        if taken.strip():
            self._taken += 1
            self._is_asked_for = False
        return taken
