"""What eSpeak NG is given to read: plain text without what it would take for commands."""

from __future__ import annotations

import unicodedata

from mynah.errors import InvalidRequest, TextTooLong


def clean_text(text: str, max_characters: int) -> str:
    """``text`` without control characters and lone surrogates.

    eSpeak NG takes NUL for the end and control-A for a command, and a lone surrogate has no
    UTF-8. Raises InvalidRequest (``nothing_to_speak``) when nothing is left, TextTooLong.
    """
    cleaned = "".join(
        " " if unicodedata.category(character) in ("Cc", "Cs") and character != "\n" else character
        for character in text
    ).strip()
    if not cleaned:
        raise nothing_to_speak()
    if len(cleaned) > max_characters:
        raise TextTooLong(
            f"The text has {len(cleaned)} characters; at most {max_characters} go into one piece."
        )
    return cleaned


def nothing_to_speak() -> InvalidRequest:
    """The error for a text that gives no sound."""
    return InvalidRequest(
        "The text holds nothing that can be spoken.",
        code="nothing_to_speak",
        fields={"text": ["Nothing in it can be spoken."]},
    )
