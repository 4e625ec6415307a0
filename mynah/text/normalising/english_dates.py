"""English dates, times, years and decades."""

from __future__ import annotations

import re
from typing import Final

from mynah.text.normalising.numbers import (
    is_british,
    spell_cardinal,
    spell_ordinal,
    spell_year,
)
from mynah.text.normalising.spoken import Reader

MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_MONTH_NUMBERS: Final = {month[:3].lower(): number for number, month in enumerate(MONTHS, 1)}
_MONTH = (
    r"(Jan(?:uary)?|Feb(?:ruary)?|March|Mar|April|Apr|May|June?|July?|August|Aug"
    r"|Sept(?:ember)?|Sep|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?(?!\w)(?![.,:/]\d)"
_YEAR = r"(?:,?\s+(\d{4})(?!\w)(?![.,]\d))?"

_MONTH_DAY = re.compile(rf"(?<!\w){_MONTH}\s+{_DAY}{_YEAR}")
_DAY_MONTH = re.compile(
    rf"(?<![\w.,:/-])((?i:the)\s+)?(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}{_YEAR}"
)
_ISO = re.compile(r"(?<![\w-])(\d{4})-(\d{2})-(\d{2})(?![\w-])")
_SLASHED = re.compile(r"(?<![\w/.])(\d{1,2})([/.])(\d{1,2})\2(\d{4}|\d{2})(?![\w/])(?!\.\d)")
_CLOCK = re.compile(
    r"(?<![\w:.])([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?![\d:])"
    r"(?:\s?([AaPp])(?:\.\s?[Mm]\.|[Mm]\b))?"
)
_HOUR = re.compile(r"(?<![\w:.,])(1[0-2]|0?[1-9])\s?([AaPp])(?:\.\s?[Mm]\.|[Mm]\b)")
_DECADE = re.compile(r"(?<![\w.,])(1[1-9]\d0|20\d0)['’]?s\b")
_SHORT_DECADE = re.compile(r"(?<!\w)['’]?([2-9]0)['’]?s\b")


def _month_of(written: str) -> int:
    return _MONTH_NUMBERS[written[:3].lower()]


def spell_date(day: int, month: int, year: str, language: str) -> str | None:
    """A date in words, in the order of the language's country; None when there is none such."""
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return None
    ordinal = spell_ordinal(day, language)
    name = MONTHS[month - 1]
    words = f"the {ordinal} of {name}" if is_british(language) else f"{name} {ordinal}"
    return f"{words}, {_spell_date_year(year, language)}"


def _spell_date_year(year: str, language: str) -> str:
    if len(year) == 2:
        number = int(year)
        return spell_year(2000 + number if number < 50 else 1900 + number, language)
    return spell_year(int(year), language)


def _read_month_day(match: re.Match[str], language: str) -> str | None:
    day = int(match[2])
    if not 1 <= day <= 31:
        return None
    article = "the " if is_british(language) else ""
    words = f"{MONTHS[_month_of(match[1]) - 1]} {article}{spell_ordinal(day, language)}"
    return f"{words}, {spell_year(int(match[3]), language)}" if match[3] else words


def _read_day_month(match: re.Match[str], language: str) -> str | None:
    day = int(match[2])
    if not 1 <= day <= 31:
        return None
    ordinal = spell_ordinal(day, language)
    words = f"{match[1] or 'the '}{ordinal} of {MONTHS[_month_of(match[3]) - 1]}"
    if match[4]:
        words += f", {spell_year(int(match[4]), language)}"
    # The stop of "5 Jan." may be the sentence's.
    return words + final_stop(match)


def _read_iso(match: re.Match[str], language: str) -> str | None:
    return spell_date(int(match[3]), int(match[2]), match[1], language)


def _read_slashed(match: re.Match[str], language: str) -> str | None:
    """3/4/2024: in America of March, elsewhere of April, unless only one of them can be."""
    first, second = int(match[1]), int(match[3])
    is_day_first = match[2] == "." or is_british(language)
    if first > 12 or second > 12:
        is_day_first = first > 12
    day, month = (first, second) if is_day_first else (second, first)
    return spell_date(day, month, match[4], language)


def _read_clock(match: re.Match[str], language: str) -> str | None:
    hour, minute, second, half = int(match[1]), int(match[2]), match[3], match[4]
    words = spell_cardinal(hour, language)
    if minute:
        words += " oh" if minute < 10 else ""
        words += f" {spell_cardinal(minute, language)}"
    elif not half and not second:
        words += " o'clock" if 1 <= hour <= 12 else " hundred"
    if second:
        words += f" and {spell_cardinal(int(second), language)} seconds"
    return f"{words} {half.lower()} m{final_stop(match)}" if half else words


def _read_hour(match: re.Match[str], language: str) -> str | None:
    words = f"{spell_cardinal(int(match[1]), language)} {match[2].lower()} m"
    return words + final_stop(match)


def _read_decade(match: re.Match[str], language: str) -> str | None:
    return pluralise(spell_year(int(match[1]), language))


def _read_short_decade(match: re.Match[str], language: str) -> str | None:
    return pluralise(spell_cardinal(int(match[1]), language))


def pluralise(words: str) -> str:
    """The plural of an English noun phrase's last word."""
    if words.endswith("y") and words[-2:-1] not in "aeiou":
        return f"{words[:-1]}ies"
    return f"{words}es" if words.endswith(("s", "x", "ch", "sh")) else f"{words}s"


def final_stop(match: re.Match[str]) -> str:
    """The full stop that an abbreviation at the end of a sentence stands for as well."""
    if not match[0].endswith("."):
        return ""
    behind = match.string[match.end() : match.end() + 3].lstrip("\"'”’)")
    following = behind.strip()
    return "." if not following or (behind[0].isspace() and following[0].isupper()) else ""


DATE_READERS: Final[tuple[tuple[re.Pattern[str], Reader], ...]] = (
    (_ISO, _read_iso),
    (_SLASHED, _read_slashed),
    (_MONTH_DAY, _read_month_day),
    (_DAY_MONTH, _read_day_month),
    (_CLOCK, _read_clock),
    (_HOUR, _read_hour),
    (_DECADE, _read_decade),
    (_SHORT_DECADE, _read_short_decade),
)
