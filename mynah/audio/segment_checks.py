"""Whether a segment is a good reading of its text, by measures of its signal.

Finds what speech models do wrong: words skipped or made up (length), the same said over and
over, silence, clipping, hum or hiss behind the speech. It does not judge a voice. Checks cost
about 1 ms for 3 s of speech.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d

from mynah.audio.loudness import to_db
from mynah.audio.repetition import HOP_S, Features, find_repeated_s, log_mel
from mynah.audio.waveform import Waveform
from mynah.contracts.speech import SegmentMeasures

_FRAME_S = 0.01
_ABSOLUTE_FLOOR = 10 ** (-60 / 20)
_RELATIVE_FLOOR = 10 ** (-45 / 20)  # below the loud parts of the segment
_FULL_SCALE = 0.999
_LEAST_FACTOR = 0.05

# In letters of an alphabet, which the engine's pace is given in.
_IDEOGRAPH_LETTERS, _SYLLABLE_LETTERS, _DIGIT_LETTERS = 3.5, 2.5, 5.0
_LETTERS_BY_CATEGORY = {"L": 1.0, "M": 0.5, "S": 1.0, "Z": 1.0}  # letters, marks, signs, spaces
_SENTENCE_PAUSE_S, _CLAUSE_PAUSE_S = 0.3, 0.12
_SHORTEST_S = 0.35  # of any word by itself

_STEADY_S = 0.5  # no vowel is held as long, as even
_STEADY_NEPERS = 0.5  # mean deviation per band of spectra smoothed over 180 ms
_SMOOTHED_FRAMES = 9


@dataclass(frozen=True, slots=True)
class _Fault:
    """A reason, from which value on it counts, and from which on it counts in full."""

    code: str
    value: float
    fine: float
    hopeless: float

    @property
    def factor(self) -> float:
        """1 up to ``fine``, falling in a line; never 0, so that poor speech can be compared."""
        return min(
            1.0, max(_LEAST_FACTOR, (self.hopeless - self.value) / (self.hopeless - self.fine))
        )


def measure_segment(waveform: Waveform, text: str, characters_per_second: float) -> SegmentMeasures:
    """Measure a mono segment against its text; ``characters_per_second`` at the rate spoken."""
    expected_s = expected_speech_s(text, characters_per_second)
    is_finite = bool(np.isfinite(waveform.samples.sum()))
    levels = _levels(waveform) if is_finite else np.zeros(0, np.float32)
    is_audible = _find_audible(levels)
    heard = np.flatnonzero(is_audible)
    if len(heard) == 0:
        return _nothing_heard(waveform, expected_s, is_finite)
    inside = is_audible[heard[0] : heard[-1] + 1]
    mel = log_mel(waveform)
    is_sounding = _at_hops(is_audible, len(mel))
    tail = _steady_tail(mel, is_sounding)
    repeated_s = find_repeated_s(*_without_tail(mel, is_sounding, tail))
    return SegmentMeasures(
        duration_s=round(waveform.duration_s, 3),
        is_finite=True,
        speech_s=round(len(inside) * _FRAME_S, 3),
        expected_s=round(expected_s, 3),
        silence_share=round(float(1 - inside.mean()), 4),
        longest_silence_s=round(_longest_run(~inside) * _FRAME_S, 3),
        clipping_share=round(float((np.abs(waveform.samples) >= _FULL_SCALE).mean()), 6),
        level_dbfs=_rounded_db(float(np.sqrt(np.square(levels[is_audible]).mean()))),
        repeated_s=round(_unwritten_s(repeated_s, text, expected_s), 3),
        trailing_noise_s=round(tail * HOP_S, 3),
    )


def find_faults(measures: SegmentMeasures) -> tuple[tuple[str, ...], float]:
    """What is wrong with a segment, as stable codes, and its score of 0-1.

    The score is the product of one factor per fault, so that one bad fault is enough; a fault is
    named when its factor falls below one half. Codes: ``not_finite``, ``silent``, ``too_short``
    (words are missing), ``too_long`` (words are made up), ``long_pause``, ``mostly_silent``,
    ``clipped``, ``too_quiet``, ``repeats``, ``trailing_noise``, ``misread``.
    """
    if not measures.is_finite:
        return ("not_finite",), 0.0
    if measures.level_dbfs is None:
        return ("silent",), 0.0
    faults = _faults(measures, measures.level_dbfs)
    reasons = tuple(fault.code for fault in faults if fault.factor < 0.5)
    return reasons, round(math.prod(fault.factor for fault in faults), 4)


def expected_speech_s(text: str, characters_per_second: float) -> float:
    """About how long a text takes to say, pauses inside included, at a pace in letters."""
    letters = sum(map(_letters, text))
    inner = text.strip()[:-1]
    pauses_s = sum(_pause_s(character) for character in inner)
    return max(_SHORTEST_S, letters / characters_per_second + pauses_s)


def audible_bounds_s(waveform: Waveform) -> tuple[float, float] | None:
    """Where the first sound of a mono segment begins and the last ends; None for silence."""
    heard = np.flatnonzero(_find_audible(_levels(waveform)))
    if len(heard) == 0:
        return None
    frame_s = round(waveform.sample_rate * _FRAME_S) / waveform.sample_rate
    return float(heard[0]) * frame_s, float(heard[-1] + 1) * frame_s


def _faults(measures: SegmentMeasures, level_dbfs: float) -> tuple[_Fault, ...]:
    pace = math.log(max(measures.speech_s, 0.01) / measures.expected_s)
    # A short text's length says little: a second more or less is nothing.
    slack = 0.5 / (measures.expected_s + 0.5)
    return (
        _Fault("too_short", -pace - slack, math.log(1.6), math.log(3.2)),
        _Fault("too_long", pace - slack, math.log(2.1), math.log(4.5)),
        _Fault("long_pause", measures.longest_silence_s, 1.0, 3.0),
        _Fault("mostly_silent", measures.silence_share, 0.5, 0.95),
        _Fault("clipped", measures.clipping_share, 0.0005, 0.01),
        _Fault("too_quiet", -level_dbfs, 45.0, 60.0),
        _Fault("repeats", measures.repeated_s, 0.6, 2.0),
        _Fault("trailing_noise", measures.trailing_noise_s, 0.3, 1.5),
        _Fault("misread", measures.character_error_rate or 0.0, 0.15, 0.65),
    )


def _nothing_heard(waveform: Waveform, expected_s: float, is_finite: bool) -> SegmentMeasures:
    return SegmentMeasures(
        duration_s=round(waveform.duration_s, 3),
        is_finite=is_finite,
        speech_s=0.0,
        expected_s=round(expected_s, 3),
        silence_share=1.0,
        longest_silence_s=round(waveform.duration_s, 3),
        clipping_share=0.0,
        level_dbfs=None,
        repeated_s=0.0,
        trailing_noise_s=0.0,
    )


def _levels(waveform: Waveform) -> npt.NDArray[np.float32]:
    """RMS of every 10 ms, shape ``(frames,)``; a rest of less is left out."""
    frame = round(waveform.sample_rate * _FRAME_S)
    count = waveform.frames // frame
    cut = waveform.samples[: count * frame].reshape(count, frame)
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", cut, cut) / frame), np.float32)


def _find_audible(levels: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    if len(levels) == 0:
        return np.zeros(0, bool)
    loud = float(np.percentile(levels, 95))
    return levels >= max(_ABSOLUTE_FLOOR, loud * _RELATIVE_FLOOR)


def _at_hops(is_audible: npt.NDArray[np.bool_], count: int) -> npt.NDArray[np.bool_]:
    """Per 10 ms -> per hop of the spectra."""
    step = round(HOP_S / _FRAME_S)
    taken = is_audible[::step][:count]
    return np.pad(taken, (0, count - len(taken)))


def _longest_run(mask: npt.NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max()) if len(edges) else 0


def _steady_tail(mel: Features, is_sounding: npt.NDArray[np.bool_]) -> int:
    """Hops at the end in which the sound does not change: hum, hiss, a held tone."""
    heard = np.flatnonzero(is_sounding)
    frames = round(_STEADY_S / HOP_S)
    sounding = mel[: heard[-1] + 1] if len(heard) else mel[:0]
    if len(sounding) < frames:
        return 0
    # Single spectra of noise differ by a neper in every band; their means over time do not.
    even = uniform_filter1d(sounding, _SMOOTHED_FRAMES, axis=0)
    away = np.abs(even - sounding[-frames:].mean(axis=0)).mean(axis=1)[::-1]
    is_steady = away < _STEADY_NEPERS
    steady = len(is_steady) if is_steady.all() else int(np.argmin(is_steady))
    return steady if steady >= frames else 0


def _without_tail(
    mel: Features, is_sounding: npt.NDArray[np.bool_], tail: int
) -> tuple[Features, npt.NDArray[np.bool_]]:
    """The spectra up to a steady tail, which is like itself at any lag."""
    if tail == 0:
        return mel, is_sounding
    end = int(np.flatnonzero(is_sounding)[-1]) + 1 - tail
    return mel[:end], is_sounding[:end]


def _unwritten_s(repeated_s: float, text: str, expected_s: float) -> float:
    """What is left of a repetition when the text's own is taken off ("no, no, no")."""
    if repeated_s == 0.0:
        return 0.0
    written = "".join(character for character in text.casefold() if character.isalnum())
    share = _repeated_characters(written) / max(1, len(written))
    return max(0.0, repeated_s - 1.5 * share * expected_s)


def _repeated_characters(text: str) -> int:
    """Characters of the longest stretch that says one thing three times or more in succession."""
    codes = np.array([ord(character) for character in text])
    longest = 0
    for period in range(1, len(codes) // 3 + 1):
        run = _longest_run(codes[:-period] == codes[period:])
        if run >= 2 * period:
            longest = max(longest, run + period)
    return longest


def _letters(character: str) -> float:
    """How many letters' time a character takes to say."""
    if character.isdigit():
        return _DIGIT_LETTERS
    code = ord(character)
    if 0x3040 <= code <= 0x30FF or 0xAC00 <= code <= 0xD7A3:  # kana, Hangul: a syllable each
        return _SYLLABLE_LETTERS
    if 0x3400 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or 0x20000 <= code <= 0x3FFFF:
        return _IDEOGRAPH_LETTERS
    return _LETTERS_BY_CATEGORY.get(unicodedata.category(character)[0], 0.0)


def _pause_s(character: str) -> float:
    if character in ".!?…。！？।؟":
        return _SENTENCE_PAUSE_S
    return _CLAUSE_PAUSE_S if character in ",;:–—،、，；：" else 0.0


def _rounded_db(amplitude: float) -> float | None:
    level = to_db(amplitude)
    return None if level is None else round(level, 2)
