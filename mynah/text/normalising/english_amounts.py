"""English numbers and what stands beside them: money, units, percent, fractions, telephones."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from mynah.text.normalising.english_dates import pluralise
from mynah.text.normalising.numbers import (
    spell_cardinal,
    spell_decimal,
    spell_digits,
    spell_ordinal,
    spell_whole,
    spell_year,
)
from mynah.text.normalising.spoken import Reader, always

_SPACES = "\u00a0\u202f\u2009"  # that part thousands
NUMBER = rf"(?:\d{{1,3}}(?:,\d{{3}})+(?!\d)|\d{{1,3}}(?:[{_SPACES}]\d{{3}})+(?!\d)|\d+)(?:\.\d+)?"
_LEFT = r"(?<!\w)(?<!\d[.,])"
_SIGN = r"(?:(?<![\w)])([-−]))?"

# symbol or code -> one, many, one hundredth, many hundredths
_CURRENCIES: Final = MappingProxyType(
    {
        "$": ("dollar", "dollars", "cent", "cents"),
        "US$": ("US dollar", "US dollars", "cent", "cents"),
        "A$": ("Australian dollar", "Australian dollars", "cent", "cents"),
        "C$": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
        "€": ("euro", "euros", "cent", "cents"),
        "£": ("pound", "pounds", "penny", "pence"),
        "¥": ("yen", "yen", "sen", "sen"),
        "₹": ("rupee", "rupees", "paisa", "paise"),
        "₽": ("rouble", "roubles", "kopeck", "kopecks"),
        "₩": ("won", "won", "jeon", "jeon"),
        "₺": ("lira", "lira", "kurus", "kurus"),
        "USD": ("US dollar", "US dollars", "cent", "cents"),
        "EUR": ("euro", "euros", "cent", "cents"),
        "GBP": ("pound", "pounds", "penny", "pence"),
        "CHF": ("Swiss franc", "Swiss francs", "centime", "centimes"),
    }
)
_MAGNITUDES: Final = MappingProxyType(
    {"k": "thousand", "m": "million", "mn": "million", "bn": "billion", "b": "billion"}
    | {word: word for word in ("hundred", "thousand", "million", "billion", "trillion")}
)
_MAGNITUDE = r"(?:\s?(k|K|m|M|mn|bn|B)\b|\s(hundred|thousand|million|billion|trillion)\b)?"
_MONEY_BEFORE = re.compile(
    rf"{_SIGN}(?<![\w$])((?:US|A|C)?\$|[€£¥₹₽₩₺])\s?({NUMBER}){_MAGNITUDE}(?!\w)"
)
_MONEY_BEHIND = re.compile(rf"{_LEFT}{_SIGN}({NUMBER})\s?([€£¥₹₽₩₺]|USD\b|EUR\b|GBP\b|CHF\b)")

_UNITS: Final = MappingProxyType(
    {
        "km": "kilometer",
        "m": "meter",
        "cm": "centimeter",
        "mm": "millimeter",
        "mi": "mile",
        "yd": "yard",
        "kg": "kilogram",
        "mg": "milligram",
        "g": "gram",
        "lb": "pound",
        "lbs": "pound",
        "oz": "ounce",
        "ml": "milliliter",
        "cl": "centiliter",
        "l": "liter",
        "L": "liter",
        "ha": "hectare",
        "km²": "square kilometer",
        "m²": "square meter",
        "m³": "cubic meter",
        "h": "hour",
        "hr": "hour",
        "hrs": "hour",
        "min": "minute",
        "mins": "minute",
        "sec": "second",
        "s": "second",
        "ms": "millisecond",
        "kW": "kilowatt",
        "W": "watt",
        "kWh": "kilowatt hour",
        "V": "volt",
        "dB": "decibel",
        "KB": "kilobyte",
        "kB": "kilobyte",
        "MB": "megabyte",
        "GB": "gigabyte",
        "TB": "terabyte",
        "kcal": "kilocalorie",
        "cal": "calorie",
        "px": "pixel",
    }
)
# one, many
_IRREGULAR_UNITS: Final = MappingProxyType(
    {
        "ft": ("foot", "feet"),
        "mph": ("mile per hour", "miles per hour"),
        "km/h": ("kilometer per hour", "kilometers per hour"),
        "kph": ("kilometer per hour", "kilometers per hour"),
        "m/s": ("meter per second", "meters per second"),
        "Hz": ("hertz", "hertz"),
        "kHz": ("kilohertz", "kilohertz"),
        "MHz": ("megahertz", "megahertz"),
        "GHz": ("gigahertz", "gigahertz"),
        "rpm": ("revolution per minute", "revolutions per minute"),
        "°C": ("degree Celsius", "degrees Celsius"),
        "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
        "°": ("degree", "degrees"),
        "%": ("percent", "percent"),
        "‰": ("per mille", "per mille"),
    }
)
_ALL_UNITS: Final = MappingProxyType(
    {unit: (name, pluralise(name)) for unit, name in _UNITS.items()} | _IRREGULAR_UNITS
)
_UNIT_NAMES = "|".join(re.escape(unit) for unit in sorted(_ALL_UNITS, key=len, reverse=True))
_MEASURE = re.compile(rf"{_LEFT}{_SIGN}({NUMBER})([\s-]?)({_UNIT_NAMES})(?!\w)(?!['’]\w)")

_ORDINAL = re.compile(r"(?<![\w.,])(\d{1,3}(?:,\d{3})+|\d{1,15})(?:st|nd|rd|th)\b")
_VULGAR: Final = MappingProxyType(
    {"½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅖": (2, 5)}
    | {"⅗": (3, 5), "⅘": (4, 5), "⅙": (1, 6), "⅚": (5, 6), "⅛": (1, 8), "⅜": (3, 8)}
    | {"⅝": (5, 8), "⅞": (7, 8), "⅑": (1, 9), "⅒": (1, 10), "⅐": (1, 7)}
)
_VULGAR_FRACTION = re.compile(rf"(?:(?<!\w)(\d{{1,9}})\s?)?([{''.join(_VULGAR)}])")
_FRACTION = re.compile(r"(?<![\w./])(?:(\d{1,3})\s)?(\d{1,3})/(\d{1,3})(?![\w/])(?!\.\d)")
_DENOMINATORS: Final = frozenset({2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 20, 32, 50, 64, 100})

_PHONE = re.compile(
    r"(?<![\w.+])(?:\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,5}(?:[ .-]\d{2,5}){1,5}"
    r"|\(\d{3}\)\s?\d{3}[-. ]\d{4}"
    r"|(?:\d-)?\d{3}[-.]\d{3}[-.]\d{4}"
    r"|\d{3}-\d{4}"
    r"|0\d{2,4} \d{3,4} \d{3,4})(?![\w-])(?!\.\d)"
)
_RANGE = re.compile(r"(?<=[\d%°])(?:\s?[–—]\s?(?=[$€£¥]?\d)|-(?=\d))")
# A hyphen is one between two short numbers; more of it is a number of another sort.
_BEFORE_HYPHEN = re.compile(r"(?<![\w-])\d{1,4}\Z")
_BEHIND_HYPHEN = re.compile(r"\d{1,4}(?![\d-])")
_VERSION = re.compile(r"(?<![\w.])\d{1,5}(?:\.\d{1,5}){2,4}(?![\w.]\w)")
_BESIDE_LETTERS = re.compile(r"(?<=[A-Za-z])\d{1,4}(?!\d)|(?<!\d)(?<!\d[.,])\d{1,4}(?=[A-Za-z])")
_PLAIN = re.compile(rf"{_LEFT}{_SIGN}({NUMBER}|\.\d+)(?!\w)")
_HASH_NUMBER = re.compile(r"(?<!\w)#(?=\d)")


def _spell(written: str, language: str, sign: str | None = None) -> str:
    """A number as written in English: 1,234.5."""
    digits = written.translate({ord(character): None for character in f",{_SPACES}"})
    whole, _, fraction = digits.partition(".")
    words = spell_decimal(whole, fraction, "point", language)
    return f"minus {words}" if sign else words


def _read_money_before(match: re.Match[str], language: str) -> str | None:
    magnitude = match[4] or match[5]
    return _spell_money(match[3], match[2], magnitude, match[1], language)


def _read_money_behind(match: re.Match[str], language: str) -> str | None:
    return _spell_money(match[2], match[3], None, match[1], language)


def _spell_money(
    amount: str, currency: str, magnitude: str | None, sign: str | None, language: str
) -> str:
    one, many, hundredth, hundredths = _CURRENCIES[currency]
    if magnitude:
        word = _MAGNITUDES[magnitude.lower()]
        return f"{_spell(amount, language, sign)} {word} {many}"
    whole, _, fraction = amount.partition(".")
    if len(fraction) != 2:
        return f"{_spell(amount, language, sign)} {one if amount == '1' else many}"
    parts = []
    if whole.strip("0") or not fraction.strip("0"):
        parts.append(f"{_spell(whole, language)} {one if whole == '1' else many}")
    if fraction.strip("0"):
        cents = spell_cardinal(int(fraction), language)
        parts.append(f"{cents} {hundredth if fraction == '01' else hundredths}")
    words = " and ".join(parts)
    return f"minus {words}" if sign else words


def _read_measure(match: re.Match[str], language: str) -> str | None:
    sign, amount, separator, unit = match.groups()
    one, many = _ALL_UNITS[unit]
    is_one = amount == "1" or (separator == "-" and unit.isalpha())
    return f"{_spell(amount, language, sign)} {one if is_one else many}"


def _read_ordinal(match: re.Match[str], language: str) -> str | None:
    return spell_ordinal(int(match[1].replace(",", "")), language)


def _spell_fraction(numerator: int, denominator: int, language: str) -> str:
    if denominator == 2:
        part = "half"
    elif denominator == 4:
        part = "quarter"
    else:
        part = spell_ordinal(denominator, language)
    if numerator != 1:
        part = "halves" if part == "half" else f"{part}s"
    return f"{spell_cardinal(numerator, language)} {part}"


def _read_vulgar_fraction(match: re.Match[str], language: str) -> str | None:
    words = _spell_fraction(*_VULGAR[match[2]], language)
    if not match[1]:
        return words
    words = "a half" if match[2] == "½" else words
    return f"{spell_cardinal(int(match[1]), language)} and {words}"


def _read_fraction(match: re.Match[str], language: str) -> str | None:
    whole, numerator, denominator = match[1], int(match[2]), int(match[3])
    if 0 < numerator < denominator and denominator in _DENOMINATORS:
        words = _spell_fraction(numerator, denominator, language)
        return f"{spell_cardinal(int(whole), language)} and {words}" if whole else words
    head = f"{spell_cardinal(int(whole), language)} " if whole else ""
    pair = (spell_cardinal(number, language) for number in (numerator, denominator))
    return head + " ".join(pair)  # 24/7, 9/11, 50/50


def _read_phone(match: re.Match[str], language: str) -> str | None:
    groups = re.findall(r"\d+", match[0])
    words = ", ".join(spell_digits(group, language) for group in groups)
    return f"plus {words}" if match[0].startswith("+") else words


def _read_range(match: re.Match[str], _language: str) -> str | None:
    if match[0] == "-":
        text, start = match.string, match.start()
        is_range = _BEFORE_HYPHEN.search(text, max(0, start - 6), start) and _BEHIND_HYPHEN.match(
            text, match.end()
        )
        return " to " if is_range else None
    return " to "


def _read_version(match: re.Match[str], language: str) -> str | None:
    return " point ".join(spell_whole(part, language) for part in match[0].split("."))


def _read_beside_letters(match: re.Match[str], language: str) -> str | None:
    """MP3, 4K, B2B: letters and numbers apart."""
    text, words = match.string, spell_whole(match[0], language)
    before = " " if text[match.start() - 1 : match.start()].isalpha() else ""
    behind = " " if text[match.end() : match.end() + 1].isalpha() else ""
    return f"{before}{words}{behind}"


def _read_plain(match: re.Match[str], language: str) -> str | None:
    sign, written = match.groups()
    if not sign and len(written) == 4 and written.isdecimal() and 1100 <= int(written) <= 2099:
        return spell_year(int(written), language)
    return _spell(written, language, sign)


AMOUNT_READERS: Final[tuple[tuple[re.Pattern[str], Reader], ...]] = (
    (_PHONE, _read_phone),
    (_RANGE, _read_range),
    (_MONEY_BEFORE, _read_money_before),
    (_MONEY_BEHIND, _read_money_behind),
    (_VULGAR_FRACTION, _read_vulgar_fraction),
    (_FRACTION, _read_fraction),
    (_MEASURE, _read_measure),
    (_ORDINAL, _read_ordinal),
    (_HASH_NUMBER, always("number ")),
    (_VERSION, _read_version),
    (_BESIDE_LETTERS, _read_beside_letters),
    (_PLAIN, _read_plain),
)
