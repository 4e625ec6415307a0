"""Subtitles: cues from the words of a text and the times at which they are spoken.

Pure functions. A cue has at most two lines of 42 columns (a Chinese or Japanese character takes
two) and lasts 1 to 7 s, as broadcasters ask for; it ends with a sentence, else with a clause,
else where it is full.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mynah.contracts.speech import Markup

MAX_COLUMNS, MAX_LINES = 42, 2
SHORTEST_S, LONGEST_S = 1.0, 7.0

_LONG_PAUSE_S = 1.0  # silence over which no cue stays up
_WELL_FILLED = 0.35  # of a cue's columns: from here on a clause may end it
_SENTENCE_END = re.compile(r"[.!?…。！？।؟](?!\w)|\n\s*\n")
_CLAUSE_END = re.compile(r"[,;:–—،、，；：)\]](?!\w)|\n")
_SPACES = re.compile(r"\s+")
_HEADING_SIGN = r"^[ \t]{0,3}#{1,6}(?=[ \t])"  # Markdown's
_MARKS = {
    Markup.PLAIN: re.compile(_HEADING_SIGN, re.MULTILINE),
    Markup.BRACKETS: re.compile(
        rf"\[(?:pause|break)\b[^\[\]]*\]|{_HEADING_SIGN}", re.IGNORECASE | re.MULTILINE
    ),
    Markup.SSML: re.compile(r"<!--.*?-->|<[^<>]*>", re.DOTALL),
}
_ENTITY = re.compile(r"&(?:\w+|#\d+|#x[0-9a-fA-F]+);")
# So that positions stay: one stands for each character of a mark, one fills up an entity.
_HIDDEN, _FILLER = "\0", "\1"
_BETWEEN = re.compile(r"[\s\0]+")
_CLOSING = frozenset(".,;:!?…)]}”’»。、，！？；：")


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A spoken word: ``start_s``, ``end_s`` in the audio; ``start``, ``end`` in the text."""

    start_s: float
    end_s: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Cue:
    """What is shown from ``start_s`` to ``end_s``: one or two lines."""

    start_s: float
    end_s: float
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Shown:
    """A word as it is shown: with the punctuation at it, and a space before or not."""

    word: TimedWord
    text: str
    width: int  # columns
    has_space: bool
    ends_sentence: bool
    ends_clause: bool


def build_cues(text: str, words: Sequence[TimedWord], markup: Markup = Markup.PLAIN) -> list[Cue]:
    """The cues of ``words``, which are in order of text and time, as ``text`` has them.

    What stands between two words (punctuation, quotation marks) is shown with the nearer one,
    marks of the text's ``markup`` are not shown.
    """
    text = _without_marks(text, markup)
    cues: list[Cue] = []
    held: list[_Shown] = []
    for shown in _iter_shown(text, words):
        if held and _ends_before(held, shown):
            cues.append(_cue(held))
            held = []
        while held and not _fits([*held, shown]):
            cut = _best_cut(held)
            cues.append(_cue(held[:cut]))
            held = held[cut:]
        held.append(shown)
    if held:
        cues.append(_cue(held))
    return _timed(cues)


def show_words(text: str, words: Sequence[TimedWord], markup: Markup = Markup.PLAIN) -> list[str]:
    """Each word as it is shown, without marks of the text's ``markup``."""
    plain = _without_marks(text, markup)
    return [_one_line(_visible(plain[word.start : word.end])) for word in words]


def to_srt(cues: Sequence[Cue]) -> str:
    """SubRip."""
    return "\n".join(
        f"{number}\n{_stamp(cue.start_s, ',')} --> {_stamp(cue.end_s, ',')}\n"
        + "".join(f"{line}\n" for line in cue.lines)
        for number, cue in enumerate(cues, 1)
    )


def to_vtt(cues: Sequence[Cue]) -> str:
    """WebVTT."""
    blocks = [
        f"\n{_stamp(cue.start_s, '.')} --> {_stamp(cue.end_s, '.')}\n"
        + "".join(f"{_escape(line)}\n" for line in cue.lines)
        for cue in cues
    ]
    return "WEBVTT\n" + "".join(blocks)


def columns(text: str) -> int:
    """How wide a text is: two columns for wide characters, none for marks above others."""
    return sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _iter_shown(text: str, words: Sequence[TimedWord]) -> Iterator[_Shown]:
    """The words with what stands between them, those too long for a line in parts."""
    opening = _opening(_visible(text[: words[0].start])) if words else ""
    has_space = False
    for index, word in enumerate(words):
        next_start = words[index + 1].start if index + 1 < len(words) else len(text)
        gap = _visible(text[word.end : max(word.end, next_start)])
        next_opening = _opening(gap) if index + 1 < len(words) else ""
        closing = gap[: len(gap) - len(next_opening)]
        # A heading's sign counts as part of its first word.
        own = _visible(text[word.start : word.end]).lstrip()
        string = _one_line(opening + own + closing)
        shown = _Shown(
            word=word,
            text=string,
            width=columns(string),
            has_space=has_space,
            ends_sentence=_SENTENCE_END.search(closing) is not None,
            ends_clause=_CLAUSE_END.search(closing) is not None,
        )
        opening = next_opening
        if string:  # else a mark alone, of which nothing is shown
            yield from _in_parts(shown)
            has_space = bool(_SPACES.search(gap))


def _opening(gap: str) -> str:
    """The end of a gap that belongs to the word after it: opening quotes and brackets."""
    start = len(gap)
    while start > 0 and unicodedata.category(gap[start - 1]) in ("Ps", "Pi"):
        start -= 1
    is_straight = start > 0 and gap[start - 1] in "\"'¿¡"
    if is_straight and (start == 1 or gap[start - 2].isspace()):
        start -= 1
    return gap[start:]


def _without_marks(text: str, markup: Markup) -> str:
    """``text``, of the same length, with marks hidden and entities as what they stand for."""
    hidden = _MARKS[markup].sub(lambda mark: _HIDDEN * len(mark.group()), text)
    return _ENTITY.sub(_resolve, hidden) if markup is Markup.SSML else hidden


def _resolve(entity: re.Match[str]) -> str:
    character = html.unescape(entity.group())
    return (character if len(character) == 1 else entity.group()).ljust(
        len(entity.group()), _FILLER
    )


def _visible(text: str) -> str:
    """``text`` without hidden marks: they part words as a space does, but not punctuation."""
    text = text.replace(_FILLER, "")

    def shown(between: re.Match[str]) -> str:
        if _HIDDEN not in between.group():
            return between.group()
        return "" if text[between.end() : between.end() + 1] in _CLOSING else " "

    return _BETWEEN.sub(shown, text) if _HIDDEN in text else text


def _one_line(text: str) -> str:
    return _SPACES.sub(" ", text).strip()


def _in_parts(shown: _Shown) -> Iterator[_Shown]:
    """A word that no line holds is cut where a line is full, its time in proportion."""
    if shown.width <= MAX_COLUMNS:
        yield shown
        return
    parts = _cut_to_columns(shown.text, MAX_COLUMNS)
    per_column_s = (shown.word.end_s - shown.word.start_s) / shown.width
    begun = 0
    for number, part in enumerate(parts):
        start_s = shown.word.start_s + begun * per_column_s
        begun += columns(part)
        end_s = shown.word.start_s + begun * per_column_s
        is_last = number == len(parts) - 1
        yield _Shown(
            word=replace(shown.word, start_s=start_s, end_s=end_s),
            text=part,
            width=columns(part),
            has_space=shown.has_space and number == 0,
            ends_sentence=shown.ends_sentence and is_last,
            ends_clause=shown.ends_clause and is_last,
        )


def _cut_to_columns(text: str, limit: int) -> list[str]:
    """Parts of at most ``limit`` columns; no mark is parted from its character."""
    parts = [""]
    used = 0
    for character in text:
        width = _width(character)
        if used + width > limit:
            parts.append("")
            used = 0
        parts[-1] += character
        used += width
    return [part.strip() for part in parts if part.strip()]


def _ends_before(held: Sequence[_Shown], shown: _Shown) -> bool:
    """Whether a sentence ended that can be read until the next one begins."""
    return held[-1].ends_sentence and shown.word.start_s - held[0].word.start_s >= SHORTEST_S


def _fits(shown: Sequence[_Shown]) -> bool:
    """Whether these words can be one cue."""
    if shown[-1].word.start_s - shown[-2].word.end_s > _LONG_PAUSE_S:
        return False
    return _duration_s(shown) <= LONGEST_S and len(_wrap(shown, MAX_COLUMNS)) <= MAX_LINES


def _duration_s(shown: Sequence[_Shown]) -> float:
    return shown[-1].word.end_s - shown[0].word.start_s


def _best_cut(held: Sequence[_Shown]) -> int:
    """How many of the held words to show when no more fit: up to a clause's end, else all."""
    needed = _WELL_FILLED * MAX_LINES * MAX_COLUMNS
    for count in range(len(held), 0, -1):
        if held[count - 1].ends_clause or held[count - 1].ends_sentence:
            if sum(one.width for one in held[:count]) >= needed:
                return count
            break
    return len(held)


def _cue(shown: Sequence[_Shown]) -> Cue:
    return Cue(shown[0].word.start_s, shown[-1].word.end_s, _balanced(shown))


def _balanced(shown: Sequence[_Shown]) -> tuple[str, ...]:
    """One line where all fits, else two of about the same length."""
    full = _wrap(shown, MAX_COLUMNS)
    if len(full) == 1:
        return tuple(full)
    for width in range(sum(map(columns, full)) // 2, MAX_COLUMNS):
        lines = _wrap(shown, width)
        if len(lines) <= len(full):
            return tuple(lines)
    return tuple(full)


def _wrap(shown: Sequence[_Shown], width: int) -> list[str]:
    """Lines of at most ``width`` columns, each as full as can be."""
    lines = [shown[0].text]
    used = shown[0].width
    for one in shown[1:]:
        joint = " " if one.has_space else ""
        if used + len(joint) + one.width > width:
            lines.append(one.text)
            used = one.width
        else:
            lines[-1] += joint + one.text
            used += len(joint) + one.width
    return lines


def _timed(cues: Sequence[Cue]) -> list[Cue]:
    """The cues, short ones kept up longer as far as the next one leaves room."""
    timed: list[Cue] = []
    for index, cue in enumerate(cues):
        limit = cues[index + 1].start_s if index + 1 < len(cues) else float("inf")
        wanted = max(cue.end_s, cue.start_s + SHORTEST_S)
        timed.append(replace(cue, end_s=max(min(wanted, limit), cue.start_s + 0.001)))
    return timed


def _stamp(time_s: float, point: str) -> str:
    total_ms = max(0, round(time_s * 1000))
    hours, rest = divmod(total_ms, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    seconds, milliseconds = divmod(rest, 1000)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{milliseconds:03d}"


def _escape(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
