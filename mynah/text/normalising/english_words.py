"""English abbreviations, Roman numerals, addresses of the net and signs."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from mynah.text.abbreviations import NEVER_LAST
from mynah.text.normalising.english_dates import MONTHS, final_stop
from mynah.text.normalising.numbers import spell_cardinal, spell_ordinal, spell_whole
from mynah.text.normalising.spoken import Reader, always

# Before a name; never the end of a sentence. Spoken with or without their stop.
_TITLES: Final = MappingProxyType(
    {"Dr": "Doctor", "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Prof": "Professor"}
    | {"Capt": "Captain", "Col": "Colonel", "Gen": "General", "Lt": "Lieutenant"}
    | {"Sgt": "Sergeant", "Rev": "Reverend", "Gov": "Governor", "Sen": "Senator"}
    | {"Rep": "Representative", "Pres": "President", "Hon": "Honorable", "Mt": "Mount"}
    | {"Ft": "Fort", "St": "Saint", "Messrs": "Messrs"}
)
_ALONE_WITHOUT_STOP: Final = frozenset({"Dr", "Mr", "Mrs", "Ms", "Prof", "Mt", "St"})
# With their stop, wherever they stand.
_ABBREVIATIONS: Final = MappingProxyType(
    {"vs": "versus", "etc": "et cetera", "e.g": "for example", "i.e": "that is", "viz": "namely"}
    | {"cf": "compare", "approx": "approximately", "Jr": "Junior", "Sr": "Senior"}
    | {"Inc": "Incorporated", "Ltd": "Limited", "Corp": "Corporation", "Co": "Company"}
    | {"Bros": "Brothers", "Dept": "Department", "dept": "department", "Ave": "Avenue"}
    | {"Blvd": "Boulevard", "Rd": "Road", "est": "established", "esp": "especially"}
    | {"misc": "miscellaneous", "a.m": "a m", "p.m": "p m", "A.M": "a m", "P.M": "p m"}
    | {"Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday"}
    | {"Thu": "Thursday", "Thur": "Thursday", "Thurs": "Thursday", "Fri": "Friday"}
    | {month[:3]: month for month in MONTHS if month != "May"}
    | {"Sept": "September"}
)
# Before a number.
_REFERENCES: Final = MappingProxyType(
    {"no": "number", "nos": "numbers", "p": "page", "pp": "pages", "vol": "volume"}
    | {"fig": "figure", "figs": "figures", "ch": "chapter", "chap": "chapter", "sec": "section"}
    | {"art": "article", "ca": "circa", "c": "circa", "approx": "approximately"}
)


def _any_of(words: MappingProxyType[str, str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_TITLE = re.compile(rf"(?<![\w.])({_any_of(_TITLES)})(\.|(?=\s+[A-Z]))(?!\w)")
_ABBREVIATION = re.compile(rf"(?<![\w.])({_any_of(_ABBREVIATIONS)})\.(?!\w)")
_BARE = re.compile(r"(?<![\w.])(vs|etc)(?![\w.])")
_REFERENCE = re.compile(rf"(?<![\w.])({_any_of(_REFERENCES)})\.(?=\s?\d)", re.IGNORECASE)

_KINGS = (
    r"(?:Henry|Louis|Charles|George|Edward|Elizabeth|Richard|William|James|Mary|Philip|Philippe"
    r"|Frederick|Friedrich|Wilhelm|Peter|Catherine|Nicholas|Alexander|Ivan|Napoleon|Leopold"
    r"|Francis|Ferdinand|Carlos|Juan|Otto|Gustav|Christian|Margrethe|Albert|Alfonso|Pius|Leo"
    r"|Benedict|Paul|Gregory|Innocent|Clement|Urban|Ramses|Ramesses|Ptolemy|Darius|Xerxes"
    r"|Artaxerxes|Mehmed|Murad|Robert|David|Malcolm|Kenneth|Stephen|Haakon|Harald|Olav)"
)
_ROMAN = r"(?=[IVXLCDM])M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
# "Charles I went": only what cannot be the pronoun.
_KING = re.compile(rf"(?<!\w)({_KINGS}) (?!I\b(?!\s+of\b|[,.;:)]))({_ROMAN})(?!\w)")
_CHAPTER = re.compile(
    r"(?<!\w)((?i:chapter|part|book|volume|vol\.|act|scene|section|canto|war|phase|type|class"
    r"|level|round|bowl|appendix|article|figure|table|stage|grade)) "
    rf"(?![CDLM]\b)({_ROMAN})(?![\w'’])"
)

_ADDRESS = re.compile(
    r"(?<![\w@])(?:https?://|ftp://|www\.)[^\s<>\"“”‘’]*[^\s<>\"“”‘’'.,;:!?…)\]}]", re.IGNORECASE
)
_DOMAIN = re.compile(
    r"(?<![\w.@-])(?:[a-z0-9][a-z0-9-]{0,62}\.){1,4}"
    r"(?:com|org|net|edu|gov|info|io|dev|app|ai|co|uk|de|fr|eu|us|ca)(?![\w-])"
    r"(?:/[^\s<>\"“”‘’]*[^\s<>\"“”‘’'.,;:!?…)\]}])?",
    re.IGNORECASE,
)
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,5}[A-Za-z]{2,24}(?![\w-])")
_ADDRESS_PARTS = re.compile(r"\d+|[^\w]|_")
_ADDRESS_SIGNS: Final = MappingProxyType(
    {".": "dot", "/": "slash", "-": "dash", "_": "underscore", "?": "question mark"}
    | {"=": "equals", "&": "and", "#": "hash", ":": "colon", "@": "at", "%": "percent"}
    | {"~": "tilde", "+": "plus"}
)

_SIGNS: Final = MappingProxyType(
    {"&": "and", "=": "equals", "@": "at", "%": "percent", "×": "times", "÷": "divided by"}
    | {"±": "plus or minus", "≈": "approximately", "≤": "at most", "≥": "at least"}
    | {"≠": "is not", "§": "section", "°": "degrees", "©": "copyright", "√": "square root of"}
    | {"∞": "infinity", "π": "pi", "µ": "micro"}
)
_SIGN = re.compile(f"[{''.join(_SIGNS)}]")
_PLUS = re.compile(r"(?<=[\w)])\s*\+\s*(?=[\w(])|(?<!\w)\+(?=\d)")
_TIMES = re.compile(r"(?<=\d)\s?\*\s?(?=\d)")
_COMPARISON = re.compile(r"(?<=\w)\s?([<>])\s?(?=[\d-])|(?<=\s)([<>])(?=\s)")
_HASHTAG = re.compile(r"(?<!\w)#(?=[^\W\d_])")


def _read_title(match: re.Match[str], _language: str) -> str | None:
    word, stop = match[1], match[2]
    if not stop and word not in _ALONE_WITHOUT_STOP:
        return None
    if word in ("St", "Dr") and _follows_name(match):
        return ("Street" if word == "St" else "Drive") + final_stop(match)
    return _TITLES[word]


def _follows_name(match: re.Match[str]) -> bool:
    """Main St., Mulholland Dr.: a name or number before, none behind."""
    before = match.string[max(0, match.start() - 30) : match.start()].split()
    behind = match.string[match.end() : match.end() + 2].strip()
    has_name_before = bool(before) and before[-1][0].isupper() and before[-1][-1].isalpha()
    return has_name_before and not behind[:1].isupper()


def _read_abbreviation(match: re.Match[str], _language: str) -> str | None:
    stop = "" if match[1] in NEVER_LAST else final_stop(match)
    return _ABBREVIATIONS[match[1]] + stop


def _read_bare(match: re.Match[str], _language: str) -> str | None:
    return _ABBREVIATIONS[match[1]]


def _read_reference(match: re.Match[str], _language: str) -> str | None:
    word = _REFERENCES[match[1].lower()]
    return word.capitalize() if match[1][0].isupper() else word


def parse_roman(numeral: str) -> int:
    """The value of a Roman numeral, upper case."""
    values = [{"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}[c] for c in numeral]
    following = [*values[1:], 0]
    pairs = zip(values, following, strict=True)
    return sum(-one if one < next_one else one for one, next_one in pairs)


def _read_king(match: re.Match[str], language: str) -> str | None:
    return f"{match[1]} the {spell_ordinal(parse_roman(match[2]), language)}"


def _read_chapter(match: re.Match[str], language: str) -> str | None:
    return f"{match[1]} {spell_cardinal(parse_roman(match[2]), language)}"


def _read_address(match: re.Match[str], language: str) -> str | None:
    """``https://a-b.org/c`` as "a dash b dot org slash c"."""

    def read_part(part: re.Match[str]) -> str:
        if part[0].isdecimal():
            return f" {spell_whole(part[0], language)} "
        return f" {_ADDRESS_SIGNS.get(part[0], '')} "

    bare = re.sub(r"^(?:https?|ftp)://", "", match[0], flags=re.IGNORECASE).rstrip("/")
    return " ".join(_ADDRESS_PARTS.sub(read_part, bare).split())


def _read_sign(match: re.Match[str], _language: str) -> str | None:
    return f" {_SIGNS[match[0]]} "


def _read_comparison(match: re.Match[str], _language: str) -> str | None:
    return " less than " if "<" in match[0] else " greater than "


LINK_READERS: Final[tuple[tuple[re.Pattern[str], Reader], ...]] = (
    (_MAIL, _read_address),
    (_ADDRESS, _read_address),
    (_DOMAIN, _read_address),
)
WORD_READERS: Final[tuple[tuple[re.Pattern[str], Reader], ...]] = (
    (_REFERENCE, _read_reference),
    (_TITLE, _read_title),
    (_ABBREVIATION, _read_abbreviation),
    (_BARE, _read_bare),
    (_KING, _read_king),
    (_CHAPTER, _read_chapter),
)
SIGN_READERS: Final[tuple[tuple[re.Pattern[str], Reader], ...]] = (
    (_PLUS, always(" plus ")),
    (_TIMES, always(" times ")),
    (_COMPARISON, _read_comparison),
    (_HASHTAG, always("hashtag ")),
    (_SIGN, _read_sign),
)
