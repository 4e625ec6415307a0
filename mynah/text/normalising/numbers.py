"""Numbers in words, by the rules of Unicode's CLDR (RBNF) where they know the language."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Final

from unicode_rbnf import FormatPurpose, RbnfEngine
from unicode_rbnf.engine import NoRuleForNumberError

MAX_NUMBER: Final = 10**15  # the rules go no further; longer ones are read digit by digit

# Our tags -> those of CLDR's rules, where they differ.
_TAGS: Final = {
    "cmn": "zh",
    "nb": "no",
    "nn": "nn",
    "pt": "pt_PT",
    "pt-br": "pt",
    "fr-be": "fr_BE",
    "fr-ch": "fr_CH",
    "de-ch": "de_CH",
    "tl": "fil",
    "hyw": "hy",
    "iw": "he",
    "in": "id",
}
# In these the year 1999 has words of its own: neunzehnhundertneunundneunzig.
_YEAR_LANGUAGES: Final = frozenset({"en", "de", "nl", "sv", "da", "no"})
_SILENT: Final = {ord(character): None for character in "\u00ad\u200b\u200c"}
_BRITISH: Final = ("en-gb", "en-au", "en-nz", "en-ie", "en-in", "en-za", "en-uk", "en-029")


def is_british(language: str) -> bool:
    """Whether a tag's English is that of Britain: "two hundred and five", 3/4 in April."""
    return language.startswith(_BRITISH)


@lru_cache(maxsize=256)
def number_language(language: str) -> str | None:
    """CLDR's tag for one of ours, None where there are no rules. ``language``: lower case."""
    supported = _supported()
    tag = language
    while tag:
        candidate = _TAGS.get(tag, tag)
        if candidate in supported:
            return candidate
        tag = tag.rpartition("-")[0]
    return None


@cache
def _supported() -> frozenset[str]:
    return frozenset(RbnfEngine.get_supported_languages())


@cache
def _rules(tag: str) -> RbnfEngine:
    return RbnfEngine.for_language(tag)


@lru_cache(maxsize=4096)
def spell_cardinal(number: int, language: str) -> str:
    """``number`` in words. The language must have rules; beyond MAX_NUMBER digit by digit."""
    tag = number_language(language) or "en"
    if abs(number) >= MAX_NUMBER:
        return spell_digits(str(abs(number)), language)
    if tag == "en" and is_british(language):
        words = _rules(tag).format_number(number, ruleset_names=["spellout-cardinal-verbose"]).text
        return words.replace(",", "")
    try:
        return _rules(tag).format_number(number).text.translate(_SILENT)
    except NoRuleForNumberError:  # some languages' rules end earlier
        return spell_digits(str(abs(number)), language)


@lru_cache(maxsize=4096)
def spell_year(number: int, language: str) -> str:
    """A year of four digits in words: "nineteen ninety-nine"."""
    tag = number_language(language) or "en"
    if tag not in _YEAR_LANGUAGES or not 1100 <= number <= 2099:
        return spell_cardinal(number, language)
    words = _rules(tag).format_number(number, purpose=FormatPurpose.YEAR).text
    return words.translate(_SILENT).replace("oh-", "oh ")


@lru_cache(maxsize=4096)
def spell_ordinal(number: int, language: str) -> str:
    """ "twenty-first"; British: "two hundred and fifth". Without rules the cardinal number."""
    tag = number_language(language) or "en"
    if number >= MAX_NUMBER:
        return spell_digits(str(number), language)
    if tag == "en" and is_british(language):
        words = _rules(tag).format_number(number, ruleset_names=["spellout-ordinal-verbose"]).text
        return words.replace(",", "")
    try:
        words = _rules(tag).format_number(number, purpose=FormatPurpose.ORDINAL).text
    except (NoRuleForNumberError, ValueError):
        return spell_cardinal(number, language)
    return words.translate(_SILENT)


def spell_digits(digits: str, language: str) -> str:
    """Digit by digit; what is no digit is left out."""
    return " ".join(spell_cardinal(int(digit), language) for digit in digits if digit.isdecimal())


def spell_decimal(whole: str, fraction: str, point: str, language: str) -> str:
    """A number with digits behind the ``point``, whose word is given. Either may be empty."""
    words = spell_whole(whole, language) if whole else spell_cardinal(0, language)
    return f"{words} {point} {spell_digits(fraction, language)}" if fraction else words


def spell_whole(digits: str, language: str) -> str:
    """Digits as a number; with zeros in front, or too many, one by one."""
    if len(digits) > 15 or (len(digits) > 1 and digits[0] in "0٠०"):
        return spell_digits(digits, language)
    return spell_cardinal(int(digits), language)
