"""When speech must end although the model does not end it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

MAX_SPEECH_TOKENS: Final = 1000  # 40 s, upstream's own limit
_TOKENS_AT_LEAST: Final = 75  # 3 s: short texts may be spoken slowly
_TOKENS_PER_TEXT_TOKEN: Final = 12  # about three times the usual pace

_LONGEST_PERIOD: Final = 50  # 2 s
_REPEATED_TOKENS: Final = 75  # 3 s of nothing new
_REPEATS_AT_LEAST: Final = 3


class Ending(StrEnum):
    """Why a text's speech tokens ended."""

    SPOKEN = "spoken"  # the model said so
    LENGTH = "length"
    REPETITION = "repetition"
    CANCELLED = "cancelled"


def limit_tokens(text_tokens: int) -> int:
    """The most speech tokens that a text of so many tokens can honestly need."""
    return min(MAX_SPEECH_TOKENS, _TOKENS_AT_LEAST + _TOKENS_PER_TEXT_TOKEN * text_tokens)


class RepetitionGuard:
    """Notices that the last tokens are one sequence over and over, a single token included."""

    def __init__(self) -> None:
        self._tokens: list[int] = []
        self._runs = [0] * (_LONGEST_PERIOD + 1)

    def add(self, token: int) -> bool:
        """Whether with this token the speech repeats itself without end."""
        tokens, runs = self._tokens, self._runs
        caught = False
        for period in range(1, min(_LONGEST_PERIOD, len(tokens)) + 1):
            if tokens[-period] == token:
                runs[period] += 1
                enough = max(_REPEATED_TOKENS, period * _REPEATS_AT_LEAST)
                caught = caught or runs[period] >= enough
            else:
                runs[period] = 0
        tokens.append(token)
        del tokens[:-_LONGEST_PERIOD]
        return caught
