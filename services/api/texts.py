"""Texts that come from outside: what cannot be stored or shown."""

from __future__ import annotations

import re
from typing import Any

from mynah.errors import InvalidRequest

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def is_unstorable(text: str) -> bool:
    """Whether a text holds NUL or lone surrogates: neither Postgres nor UTF-8 takes them."""
    return "\x00" in text or _LONE_SURROGATE.search(text) is not None


def check_storable(document: Any) -> None:
    """Raise InvalidRequest when a text of a JSON document, or a key, is unstorable."""
    if _holds_unstorable(document):
        raise InvalidRequest("A text holds NUL or lone surrogates.", code="invalid_text")


def _holds_unstorable(document: Any) -> bool:
    if isinstance(document, str):
        return is_unstorable(document)
    if isinstance(document, dict):
        return any(_holds_unstorable(part) for pair in document.items() for part in pair)
    return isinstance(document, list) and any(map(_holds_unstorable, document))


def printable(text: str) -> str:
    """A name or type that somebody claims, without what could break a log line or a header."""
    return "".join(character for character in text if character.isprintable())
