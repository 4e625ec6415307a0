"""The values in markup: lengths of pauses, rates, pitches, volumes; and errors with a position."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mynah.errors import InvalidRequest
from mynah.text.marked_text import Style
from mynah.text.pauses import MAX_PAUSE_MS

MAX_DEPTH: Final = 32
MAX_RATE, MIN_RATE = 4.0, 0.25
MAX_SEMITONES = 24.0
MAX_VOLUME = 4.0

BREAK_STRENGTHS_MS: Final = MappingProxyType(
    {"none": 0, "x-weak": 100, "weak": 200, "medium": 400, "strong": 700, "x-strong": 1200}
)
DEFAULT_BREAK_MS: Final = BREAK_STRENGTHS_MS["medium"]
_RATES: Final = MappingProxyType(
    {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.75}
)
_PITCHES: Final = MappingProxyType(
    {"x-low": -6.0, "low": -3.0, "medium": 0.0, "default": 0.0, "high": 3.0, "x-high": 6.0}
)
_VOLUMES: Final = MappingProxyType(
    {"silent": 0.0, "x-soft": 0.25, "soft": 0.5, "medium": 1.0, "default": 1.0}
    | {"loud": 1.5, "x-loud": 2.0}
)
# level -> rate, volume
_EMPHASES: Final = MappingProxyType(
    {"strong": (0.85, 1.3), "moderate": (0.92, 1.15), "none": (1.0, 1.0), "reduced": (1.1, 0.8)}
)
_NUMBER = r"(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})"
_TIME = re.compile(rf"\+?{_NUMBER}\s*(ms|s)")
_QUANTITY = re.compile(rf"([+-]?){_NUMBER}\s*(%|st|dB)?", re.IGNORECASE)


class BadValue(Exception):
    """A value that says nothing usable; its text says what would be."""


def markup_error(source: str, offset: int, problem: str) -> InvalidRequest:
    """What is wrong with the markup at ``offset``; line and column count from 1."""
    line = source.count("\n", 0, offset) + 1
    column = offset - source.rfind("\n", 0, offset)
    message = f"{problem} (line {line}, column {column}, offset {offset})"
    return InvalidRequest(
        message,
        code="invalid_markup",
        fields={
            "text": [message],
            "line": [str(line)],
            "column": [str(column)],
            "offset": [str(offset)],
        },
    )


def parse_pause_ms(value: str) -> int:
    """``1.5s``, ``500ms``, at most a minute. Raises BadValue."""
    match = _TIME.fullmatch(value.strip())
    if match is None:
        raise BadValue(f"{value[:40]!r} is not a length of time such as 1.5s or 500ms")
    length_ms = float(match[1]) * (1 if match[2] == "ms" else 1000)
    if length_ms > MAX_PAUSE_MS:
        raise BadValue(f"a pause of {value[:40]} is longer than {MAX_PAUSE_MS // 1000} s")
    return round(length_ms)


def parse_break_ms(attributes: Mapping[str, str]) -> int:
    """The pause of SSML's ``break``. Raises BadValue."""
    if "time" in attributes:
        return parse_pause_ms(attributes["time"])
    strength = attributes.get("strength", "medium")
    if strength not in BREAK_STRENGTHS_MS:
        raise BadValue(f"the strength is one of {', '.join(BREAK_STRENGTHS_MS)}")
    return BREAK_STRENGTHS_MS[strength]


def apply_prosody(style: Style, attributes: Mapping[str, str]) -> Style:
    """``style`` changed by SSML's ``prosody``. Raises BadValue."""
    return shift_style(
        style,
        rate=_parse_rate(attributes.get("rate", "default")),
        semitones=_parse_semitones(attributes.get("pitch", "default")),
        volume=_parse_volume(attributes.get("volume", "default")),
    )


def apply_emphasis(style: Style, level: str) -> Style:
    """``style`` changed by SSML's ``emphasis``. Raises BadValue."""
    if level not in _EMPHASES:
        raise BadValue(f"the level is one of {', '.join(_EMPHASES)}")
    rate, volume = _EMPHASES[level]
    return shift_style(style, rate=rate, volume=volume)


def shift_style(
    style: Style, *, rate: float = 1.0, semitones: float = 0.0, volume: float = 1.0
) -> Style:
    """``style`` with factors on rate and volume and semitones on its pitch.

    Raises BadValue where that, tags around it included, leaves the limits.
    """
    shifted = Style(
        style.voice,
        style.language,
        round(style.rate * rate, 4),
        round(style.pitch_semitones + semitones, 4),
        round(style.volume * volume, 4),
    )
    if not MIN_RATE <= shifted.rate <= MAX_RATE:
        raise BadValue(f"a rate of {shifted.rate:g} is not within {MIN_RATE:g} to {MAX_RATE:g}")
    if abs(shifted.pitch_semitones) > MAX_SEMITONES:
        raise BadValue(
            f"a pitch of {shifted.pitch_semitones:+g}st is not within ±{MAX_SEMITONES:g}st"
        )
    if shifted.volume > MAX_VOLUME:
        raise BadValue(f"a volume of {shifted.volume:g} is not within 0 to {MAX_VOLUME:g}")
    return shifted


def _parse_rate(value: str) -> float:
    """``slow``, ``1.5``, ``80%``, ``+20%``."""
    if value in _RATES:
        return _RATES[value]
    sign, number, unit = _quantity(value, "a rate such as slow, 80% or +20%")
    if unit == "%":
        return _percentage(sign, number)
    if unit or sign:
        raise BadValue(f"{value[:40]!r} is not a rate such as slow, 80% or +20%")
    return number


def _parse_semitones(value: str) -> float:
    """``high``, ``+2st``, ``-10%``."""
    if value in _PITCHES:
        return _PITCHES[value]
    sign, number, unit = _quantity(value, "a pitch such as high, +2st or -10%")
    if unit == "st":
        return -number if sign == "-" else number
    factor = _percentage(sign, number) if unit == "%" else 0.0
    if factor <= 0:
        raise BadValue(f"{value[:40]!r} is not a pitch such as high, +2st or -10%")
    return 12 * math.log2(factor)


def _parse_volume(value: str) -> float:
    """``loud``, ``+6dB``, ``+20%``, or 0–100 as in SSML 1.0."""
    if value in _VOLUMES:
        return _VOLUMES[value]
    sign, number, unit = _quantity(value, "a volume such as loud, +6dB or 80%")
    if unit == "db":
        decibels = -number if sign == "-" else number
        return 10 ** (min(decibels, 200.0) / 20)
    if unit == "st" or (not unit and (sign or number > 100)):
        raise BadValue(f"{value[:40]!r} is not a volume such as loud, +6dB or 80%")
    return _percentage(sign, number) if unit else number / 100


def _quantity(value: str, example: str) -> tuple[str, float, str]:
    match = _QUANTITY.fullmatch(value.strip())
    if match is None:
        raise BadValue(f"{value[:40]!r} is not {example}")
    return match[1], float(match[2]), (match[3] or "").lower()


def _percentage(sign: str, number: float) -> float:
    """A factor: ``+20%`` is 1.2, ``-20%`` 0.8, ``120%`` 1.2. Raises BadValue below 0."""
    factor = 1 + (-number if sign == "-" else number) / 100 if sign else number / 100
    if factor < 0:
        raise BadValue(f"-{number:g}% leaves less than nothing")
    return factor
