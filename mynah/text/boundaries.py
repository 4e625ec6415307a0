"""Where sentences, clauses, paragraphs and headings of a text end. Linear in its length."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from mynah.text.abbreviations import (
    BEFORE_NUMBER,
    MAY_BE_LAST,
    NEVER_LAST,
    ORDINAL_STOP_LANGUAGES,
    SENTENCE_STARTERS,
)
from mynah.text.headings import heading_title, is_chapter_line, is_title_like


class Boundary(IntEnum):
    """What ends at a cut, the weakest first."""

    WORD = 0
    CLAUSE = 1
    SENTENCE = 2
    PARAGRAPH = 3
    HEADING = 4  # what ends is a heading, or a heading follows


@dataclass(slots=True)
class Boundaries:
    """Ends of sentences and the like, ascending. ``headings``: start of a heading's line -> title.

    A position lies behind the mark and the quotes that close there, before the white space.
    """

    positions: list[int] = field(default_factory=list)
    kinds: list[Boundary] = field(default_factory=list)
    headings: dict[int, str] = field(default_factory=dict)


_SPACED_ENDS: Final = ".!?…‼⁇⁈⁉؟՞։"  # end a sentence before white space only
_FULL_ENDS: Final = "。！？｡।॥።៕။。"  # end one whatever follows
_SPACED_CLAUSES: Final = ",;:،؛—–"
_FULL_CLAUSES: Final = "、，；：၊"
_QUOTES: Final = "\"'”’»›“‘«‹」』"
_CLOSERS: Final = _QUOTES + ")]}）］｝】》〉"

# One class in front lets the expression engine look for it without trying alternatives.
_MARK = re.compile(
    rf"[\n{_SPACED_ENDS}{_FULL_ENDS}{_SPACED_CLAUSES}{_FULL_CLAUSES}]"
    rf"[{_SPACED_ENDS}{_FULL_ENDS}{re.escape(_CLOSERS)}]*"
)
_LINE_GAP = re.compile(r"[^\S\n]*(\n\s*)?")
_SPACES = re.compile(r"\s+")
_WORD = re.compile(r"\w+")
_LIST_ITEM = re.compile(r"[^\S\n]*(?:[-*+•‣◦–—]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s")
_NUMBER_BEFORE = re.compile(r"(?<!\S)\(?\d{1,2}\Z")
# '"Stop!" the old man said': not a new sentence. Capitalised names come with a verb of speech.
_SPEECH = re.compile(
    r"(?:[\w.'’-]+\s+){1,3}?(?:said|says|asked|cried|replied|answered|whispered|shouted|called"
    r"|muttered|murmured|exclaimed|added|continued|yelled|laughed|sighed)\b"
)
_MAX_INDENT: Final = 8
_VERSE_CHARACTERS: Final = 50  # a shorter line may be a verse or an entry
_WORD_BACK_CHARACTERS: Final = 24


def find_boundaries(text: str, language: str) -> Boundaries:
    """Every boundary of ``text`` above that of words. ``language``: a BCP-47 tag."""
    return _Scan(text, language).run()


class _Scan:
    """One walk over a text."""

    def __init__(self, text: str, language: str) -> None:
        self._text = text
        self._found = Boundaries()
        self._has_ordinal_stops = language.partition("-")[0] in ORDINAL_STOP_LANGUAGES
        # Without capitals a small letter says nothing about what began.
        self._is_lower = text == text.lower()
        self._line_start = 0
        self._is_block_start = True  # a blank line, or nothing, is above this line
        self._was_title_like = False

    def run(self) -> Boundaries:
        text, done = self._text, 0
        for match in _MARK.finditer(text):
            start, end = match.span()
            if start < done:
                continue
            mark = text[start]
            if mark == "\n":
                done = self._end_line(start)
            elif mark in _SPACED_CLAUSES:
                self._end_clause(start, end)
            elif mark in _FULL_CLAUSES:
                self._add(end, Boundary.CLAUSE)
            else:
                self._end_sentence(start, end)
        self._end_text()
        return self._found

    def _add(self, position: int, kind: Boundary) -> None:
        """Add a boundary; one that only white space parts from the last strengthens that."""
        found, text = self._found, self._text
        if found.positions:
            last = found.positions[-1]
            # Most positions lie behind a mark: one look tells that there is more than space.
            if position == last or (text[position - 1].isspace() and text[last:position].isspace()):
                found.kinds[-1] = max(found.kinds[-1], kind)
                return
        found.positions.append(position)
        found.kinds.append(kind)

    def _end_clause(self, start: int, end: int) -> None:
        after = self._text[end : end + 1]
        if after and not after.isspace() and self._text[start] != "—":
            return
        if self._text[start] == "–" and not self._text[start - 1 : start].isspace():
            return
        indent = start - self._line_start
        if indent < _MAX_INDENT and not self._text[self._line_start : start].strip():
            return  # the dash of a dialogue
        self._add(end, Boundary.CLAUSE)

    def _end_sentence(self, start: int, end: int) -> None:
        text, mark = self._text, self._text[start]
        after = text[end : end + 1]
        if mark in _FULL_ENDS:
            is_quoted = text[end - 1] in "」』" and after in ("と", "っ")  # 「…。」と言った
            self._add(end, Boundary.CLAUSE if is_quoted else Boundary.SENTENCE)
            return
        if after and not after.isspace():
            return
        following = self._following(end)
        kind = self._kind_by_following(start, end, following)
        if kind is not None:
            self._add(end, kind)

    def _following(self, end: int) -> int:
        """Where the next word begins; most often one space parts the two."""
        if self._text[end : end + 1] == " " and not self._text[end + 1 : end + 2].isspace():
            return end + 1
        match = _SPACES.match(self._text, end)
        return match.end() if match else end

    def _kind_by_following(self, start: int, end: int, following: int) -> Boundary | None:
        text = self._text
        is_stop = text[start] == "." and (end == start + 1 or text[start + 1] not in ".…!?")
        if is_stop and not self._is_stop_final(start, following):
            return None
        if text[following : following + 1].islower() and not self._is_lower:
            return Boundary.CLAUSE  # "Stop!" she said; well… maybe
        if text[end - 1] in _QUOTES and _SPEECH.match(text, following):
            return Boundary.CLAUSE
        return Boundary.SENTENCE

    def _is_stop_final(self, start: int, following: int) -> bool:
        """Whether the full stop at ``start`` is more than an abbreviation's."""
        text = self._text
        back = max(0, start - _WORD_BACK_CHARACTERS)
        window = text[back:start]
        pieces = window.rsplit(None, 2)
        if not pieces or window[-1].isspace():
            return True
        word = pieces[-1].lstrip("([{\"'“‘«„¿¡").lower()
        if word.isdigit():
            return self._is_number_final(start, word)
        is_letter = len(word) == 1 and word.isalpha()
        is_pair = is_letter and len(pieces) > 1 and _is_initial(pieces[-2])
        is_reference = word in BEFORE_NUMBER and text[following : following + 1].isdigit()
        if word in NEVER_LAST or is_reference or is_pair:  # a pair: z. B.; J. R. R. Tolkien
            return False
        if word in MAY_BE_LAST or is_letter or ("." in word and _is_acronym(word)):
            starter = _WORD.match(text, following)
            return starter is None or starter[0].lower() in SENTENCE_STARTERS
        return True

    def _is_number_final(self, start: int, digits: str) -> bool:
        line_start = self._text.rfind("\n", max(0, start - 8), start) + 1
        if start < 8 or line_start:
            head = self._text[line_start:start].strip()
            if head.lstrip("(") == digits:
                return False  # "1. First": a list
        return not (self._has_ordinal_stops and len(digits) <= 2)

    def _end_line(self, start: int) -> int:
        """The end of a line or paragraph; returns where the next begins."""
        text = self._text
        gap = _LINE_GAP.match(text, start + 1)
        is_blank = gap is not None and gap[1] is not None
        following = gap.end() if gap is not None else start + 1
        kind = self._kind_of_line_end(start, following, is_blank)
        if kind is not None and start > self._line_start:
            self._add(start, kind)
        self._line_start, self._is_block_start = following, is_blank
        return following

    def _kind_of_line_end(self, start: int, following: int, is_blank: bool) -> Boundary | None:
        line = self._text[self._line_start : min(start, self._line_start + 200)]
        if self._is_heading(line, following, is_blank):
            self._mark_heading(line)
            return Boundary.HEADING
        if is_blank:
            return Boundary.PARAGRAPH
        if is_chapter_line(self._line_at(following)):
            return Boundary.PARAGRAPH
        if _LIST_ITEM.match(self._text, following) or _LIST_ITEM.match(line):
            return Boundary.SENTENCE
        return Boundary.CLAUSE if len(line) < _VERSE_CHARACTERS else None

    def _is_heading(self, line: str, following: int, is_blank: bool) -> bool:
        if is_chapter_line(line):
            self._was_title_like = False
            return True
        is_title = is_blank and self._is_block_start and is_title_like(line)
        was_title, self._was_title_like = self._was_title_like, is_title
        if not is_title or was_title or following >= len(self._text):
            return False
        below = self._line_at(following)
        # Another such line: verses, a list of names.
        is_prose = len(below) > len(line) and not is_title_like(below)
        return is_prose or is_chapter_line(below)

    def _line_at(self, start: int) -> str:
        end = self._text.find("\n", start, start + 200)
        return self._text[start : end if end >= 0 else start + 200]

    def _mark_heading(self, line: str) -> None:
        found = self._found
        title = heading_title(line)
        first = self._following(self._line_start) if line[:1].isspace() else self._line_start
        found.headings[first] = title
        if found.kinds and found.kinds[-1] is Boundary.PARAGRAPH:
            found.kinds[-1] = Boundary.HEADING

    def _end_text(self) -> None:
        line = self._text[self._line_start : self._line_start + 200]
        has_text_above = bool(self._found.positions)
        if has_text_above and self._line_start + 200 > len(self._text) and is_chapter_line(line):
            self._mark_heading(line)


def _is_initial(word: str) -> bool:
    return len(word) == 2 and word[1] == "." and word[0].isalpha()


def _is_acronym(word: str) -> bool:
    """``u.s``, ``w.h.o``: single letters with stops between."""
    return len(word) >= 3 and all(len(part) == 1 and part.isalpha() for part in word.split("."))
