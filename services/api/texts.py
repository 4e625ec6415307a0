"""Texts that come from outside: what cannot be stored or shown."""

from __future__ import annotations

import re

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def is_unstorable(text: str) -> bool:
    """Whether a text holds NUL or lone surrogates: neither Postgres nor UTF-8 takes them."""
    return "\x00" in text or _LONE_SURROGATE.search(text) is not None


def printable(text: str) -> str:
    """A name or type that somebody claims, without what could break a log line or a header."""
    return "".join(character for character in text if character.isprintable())
