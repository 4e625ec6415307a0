"""What every engine asks of a text before it reads it."""

from __future__ import annotations

import unicodedata

from mynah.errors import InvalidRequest


def is_unspeakable(character: str) -> bool:
    """Whether a character is a control character or half of a surrogate pair, which no engine
    can take; a line break is fine."""
    return character != "\n" and unicodedata.category(character) in ("Cc", "Cs")


def nothing_to_speak() -> InvalidRequest:
    """The error for a text that gives no sound."""
    return InvalidRequest(
        "The text holds nothing that can be spoken.",
        code="nothing_to_speak",
        fields={"text": ["Nothing in it can be spoken."]},
    )
