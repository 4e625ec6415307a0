"""A piece's text as it is read aloud in its language."""

from __future__ import annotations

from typing import Final

import regex

from mynah.text.normalising.english_amounts import AMOUNT_READERS
from mynah.text.normalising.english_dates import DATE_READERS
from mynah.text.normalising.english_words import LINK_READERS, SIGN_READERS, WORD_READERS
from mynah.text.normalising.numbers import number_language
from mynah.text.normalising.other_languages import replace_numbers
from mynah.text.normalising.spoken import Replacements, assemble

# Pictures, with all that joins or colours them; flags and keycaps.
_PICTURES: Final = (
    r"(?:[0-9#*]\ufe0f?\u20e3|(?:[\p{Extended_Pictographic}--[©®™‼⁉]]|\p{Regional_Indicator})"
    r"[\p{Extended_Pictographic}\p{Regional_Indicator}\p{Emoji_Modifier}"
    r"\ufe0e\ufe0f\u200d\u20e3\U000e0020-\U000e007f]*+)"
)
# Before a full stop or the like the space in front goes too.
_EMOJI: Final = regex.compile(
    rf"\s*+{_PICTURES}(?:\s*+{_PICTURES})*+(?=\s*(?:[.,!?;:…]|\Z))|{_PICTURES}", regex.VERSION1
)
# What no voice reads: other pictures and lines, Markdown's marks, what sets lists out.
_MUTE: Final = regex.compile(
    r"^\s*(?:[-–—*+•‣◦]|#{1,6})\s+|\s#+\s*$"
    r"|[\p{So}--[©°]]|[•‣◦·|\\^`~®™\u200b\ufe0e\ufe0f\ufeff\u00ad\p{Co}]"
    r"|\*+|(?<!\w)_+|_+(?!\w)|={3,}|[-–—]{4,}",
    regex.VERSION1,
)


def replace_written(replacements: Replacements, language: str) -> None:
    """Add what ``language``, a BCP-47 tag, makes of the text that is not replaced yet."""
    tag = language.lower().replace("_", "-")
    replacements.drop_matches(_EMOJI)
    if number_language(tag) == "en":
        for pattern, read in _ENGLISH_READERS:
            replacements.add_matches(pattern, read, tag)
    else:
        replace_numbers(replacements, tag)
    replacements.drop_matches(_MUTE)


def speak_plain(text: str, language: str) -> str:
    """``text`` as it is read aloud in ``language``, a BCP-47 tag."""
    replacements = Replacements(text)
    replace_written(replacements, language)
    return assemble(text, replacements.in_order()).text


# Earlier ones go first: a date before the numbers in it.
_ENGLISH_READERS: Final = (
    *LINK_READERS,
    *DATE_READERS,
    *WORD_READERS,
    *AMOUNT_READERS,
    *SIGN_READERS,
)
