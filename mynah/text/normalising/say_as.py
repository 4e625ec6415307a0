"""What SSML's ``say-as`` asks for."""

from __future__ import annotations

import re
from typing import Final

from mynah.text.normalising.english_dates import spell_date
from mynah.text.normalising.normalise import speak_plain
from mynah.text.normalising.numbers import (
    number_language,
    spell_digits,
    spell_ordinal,
    spell_whole,
)

_SPELLED: Final = frozenset({"characters", "spell-out", "verbatim"})
_DIGITS = re.compile(r"\d{1,40}")


def speak_as(text: str, kind: str, detail: str, language: str) -> str:
    """``text`` as ``kind`` wants it read; what does not fit the kind as plain text.

    ``detail``: the order of a date, ``mdy``. Times, amounts and the like are read from their
    form, as everywhere. ``language``: a BCP-47 tag.
    """
    tag = language.lower().replace("_", "-")
    written = text.strip()
    spoken: str | None = None
    if kind in _SPELLED:
        spoken = _spell_out(written, tag)
    elif number_language(tag) is not None:
        if kind in ("digits", "telephone"):
            groups = _DIGITS.findall(written)
            spoken = ", ".join(spell_digits(group, tag) for group in groups)
        elif kind in ("cardinal", "number") and _DIGITS.fullmatch(written):
            spoken = spell_whole(written, tag)
        elif kind == "ordinal" and (digits := _DIGITS.match(written)):
            spoken = spell_ordinal(int(digits[0]), tag)
        elif kind == "date":
            spoken = _speak_date(written, detail, tag)
    return spoken or speak_plain(written, language)


def _spell_out(text: str, tag: str) -> str:
    """Character by character; a capital is what engines take for a letter's name."""
    has_numbers = number_language(tag) is not None
    spoken = [
        spell_digits(character, tag)
        if character.isdecimal() and has_numbers
        else speak_plain(character, tag) or character
        if not character.isalpha()
        else character.upper()
        for character in text
        if not character.isspace()
    ]
    return " ".join(spoken)


def _speak_date(text: str, order: str, tag: str) -> str | None:
    """A date of numbers in a given order; only English has words for it here."""
    parts = re.findall(r"\d+", text)
    if number_language(tag) != "en" or sorted(order) != ["d", "m", "y"] or len(parts) != 3:
        return None
    named = dict(zip(order, parts, strict=True))
    return spell_date(int(named["d"]), int(named["m"]), named["y"], tag)
