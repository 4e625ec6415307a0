"""A sensible default for languages other than English: numbers, percent and a few signs.

Where CLDR's rules know the language its numbers are written out in their plain counting form;
where they do not, digits stay for the engine. Dates, times, ordinals and money stay in any case:
their order and inflection differ too much for a rule without a grammar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mynah.text.abbreviations import ORDINAL_STOP_LANGUAGES
from mynah.text.normalising.numbers import (
    number_language,
    spell_cardinal,
    spell_decimal,
    spell_digits,
    spell_whole,
    spell_year,
)
from mynah.text.normalising.spoken import Replacements, always


@dataclass(frozen=True, slots=True)
class SignWords:
    """How a language reads the signs around numbers."""

    point: str
    percent: str
    conjunction: str


_SIGN_WORDS: Final = MappingProxyType(
    {
        "de": SignWords("Komma", "Prozent", "und"),
        "fr": SignWords("virgule", "pour cent", "et"),
        "es": SignWords("coma", "por ciento", "y"),
        "it": SignWords("virgola", "per cento", "e"),
        "pt": SignWords("vírgula", "por cento", "e"),
        "nl": SignWords("komma", "procent", "en"),
        "sv": SignWords("komma", "procent", "och"),
        "da": SignWords("komma", "procent", "og"),
        "nb": SignWords("komma", "prosent", "og"),
        "fi": SignWords("pilkku", "prosenttia", "ja"),
        "pl": SignWords("przecinek", "procent", "i"),
        "cs": SignWords("celá", "procent", "a"),
        "uk": SignWords("кома", "відсотків", "і"),
        "ru": SignWords("запятая", "процентов", "и"),
        "tr": SignWords("virgül", "yüzde", "ve"),
        "id": SignWords("koma", "persen", "dan"),
        "ro": SignWords("virgulă", "la sută", "și"),
        "ca": SignWords("coma", "per cent", "i"),
        "zh": SignWords("点", "", "和"),
        "cmn": SignWords("点", "", "和"),
        "yue": SignWords("點", "", "同"),
    }
)
# All others that have rules write 1,234.5.
_DECIMAL_COMMA: Final = frozenset(
    {"af", "az", "be", "bg", "bs", "ca", "cs", "da", "de", "el", "eo", "es", "et", "fi", "fr"}
    | {"hr", "hu", "hy", "id", "is", "it", "ka", "kk", "ky", "lb", "lt", "lv", "mk", "nb", "nl"}
    | {"nn", "pl", "pt", "ro", "ru", "sk", "sl", "sq", "sr", "sv", "tr", "uk", "vi"}
)
# Not beside letters, nor in what is a date, a time, an amount of money or a telephone number.
_LEFT = r"(?<![\w/:+#€$£¥-])(?<!\d[.,])(?:(?<!\S)[-−])?"
_RIGHT = r"(?![\w/:°€$£¥+-])(?![.,]\d)(?!\s?[€$£¥°])"
_COMMA_NUMBER = re.compile(
    rf"{_LEFT}(\d{{1,3}}(?:[.\u00a0\u202f]\d{{3}})+(?!\d)|\d+)(?:,(\d+))?(\s?%)?{_RIGHT}"
)
_POINT_NUMBER = re.compile(rf"{_LEFT}(\d{{1,3}}(?:,\d{{3}})+(?!\d)|\d+)(?:\.(\d+))?(\s?%)?{_RIGHT}")
_UNSPACED_NUMBER = re.compile(r"(?<![\d.,:/-])(\d+)(?:\.(\d+))?(?![\d:/-]|[.,]\d)")
_AMPERSAND = re.compile(r"(?<=\s)&(?=\s)")
_CHINESE_YEAR = re.compile(r"(?<!\d)\d{4}(?=年)")
_CHINESE: Final = frozenset({"zh", "yue"})


def replace_numbers(replacements: Replacements, language: str) -> None:
    """Write out the numbers of a text in ``language``, a lower-case tag."""
    words = _sign_words(language)
    if words is not None:
        replacements.add_matches(_AMPERSAND, always(words.conjunction), language)
    rules = number_language(language)
    if rules is None or language.endswith("-latn"):
        return
    if rules.partition("_")[0] in _CHINESE:
        replacements.add_matches(_CHINESE_YEAR, _read_chinese_year, language)
        replacements.add_matches(_UNSPACED_NUMBER, _read_chinese_number, language)
    elif language.partition("-")[0] in _DECIMAL_COMMA:
        replacements.add_matches(_COMMA_NUMBER, _read_number, language)
    else:
        replacements.add_matches(_POINT_NUMBER, _read_number, language)


def _sign_words(language: str) -> SignWords | None:
    return _SIGN_WORDS.get(language.partition("-")[0])


def _read_number(match: re.Match[str], language: str) -> str | None:
    words = _sign_words(language)
    whole, fraction, percent = re.sub(r"\D", "", match[1]), match[2], match[3]
    if fraction or percent:
        if words is None:
            return None
        spoken = spell_decimal(whole, fraction or "", words.point, language)
        spoken = f"{spoken} {words.percent}" if percent else spoken
    elif _is_ordinal(match, whole, language):
        return None
    elif len(match[1]) == 4:
        spoken = spell_year(int(whole), language)
    else:
        spoken = spell_whole(whole, language)
    return f"{_spell_minus(language)} {spoken}" if match[0][0] in "-−" else spoken


def _is_ordinal(match: re.Match[str], whole: str, language: str) -> bool:
    """Whether it is one like "1. Mai", with the stop of an ordinal number or of a sentence."""
    has_stop = match.string.startswith(".", match.end())
    has_ordinal_stops = language.partition("-")[0] in ORDINAL_STOP_LANGUAGES
    return has_stop and has_ordinal_stops and len(whole) <= 2


def _spell_minus(language: str) -> str:
    """What the rules put before the one of -1."""
    return spell_cardinal(-1, language).removesuffix(spell_cardinal(1, language)).strip()


def _read_chinese_year(match: re.Match[str], language: str) -> str:
    """Digit by digit, without spaces."""
    return spell_digits(match[0], language).replace(" ", "")


def _read_chinese_number(match: re.Match[str], language: str) -> str | None:
    words = _sign_words(language)
    point = words.point if words else ""
    return spell_decimal(match[1], match[2] or "", point, language).replace(" ", "")
