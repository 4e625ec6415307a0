"""Which lines of a text are headings. Rather one too few than one too many."""

from __future__ import annotations

import re
from typing import Final

_MAX_HEADING_CHARACTERS: Final = 70
_MAX_HEADING_WORDS: Final = 9

_MARKDOWN = re.compile(r"[ \t]{0,3}#{1,6}[ \t]+\S")
_MARKDOWN_SIGNS = re.compile(r"[ \t]*#{1,6}[ \t]+|[ \t]+#+[ \t]*$")

_CHAPTER_WORDS: Final = (
    "chapter|part|book|volume|act|scene|canto|kapitel|teil|buch|akt|szene|chapitre|partie|livre"
    "|acte|scène|capítulo|capitulo|parte|libro|acto|escena|capitolo|atto|livro|ato|cena|hoofdstuk"
    "|deel|boek|kapittel|del|bok|luku|osa|rozdział|część|kapitola|část|díl|fejezet|capitolul"
    "|bölüm|глава|часть|книга|розділ|частина|κεφάλαιο|μέρος"
)
_NUMBER_WORDS: Final = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
    "|sixteen|seventeen|eighteen|nineteen|twenty(?:-\\w+)?|thirty(?:-\\w+)?|the \\w+"
    "|first|second|third|last|eins|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|elf|zwölf"
    "|un|deux|trois|quatre|cinq|six|sept|huit|neuf|dix|uno|dos|tres|cuatro|cinco|primero|primo"
)
# "Chapter 3", "Kapitel IV: Der Wald", "Глава первая" is left to the general rule.
_CHAPTER = re.compile(
    rf"(?:(?:{_CHAPTER_WORDS})\s+(?:\d{{1,4}}|[ivxlcdm]{{1,7}}|{_NUMBER_WORDS})"
    rf"|\d{{1,3}}\.\s+(?:kapitel|teil|fejezet|bölüm|akt))"
    rf"(?:\s*[.:–—-]\s*\S.*|\.)?\s*",
    re.IGNORECASE,
)
_CJK_CHAPTER = re.compile(
    r"第[0-9０-９〇零一二三四五六七八九十百千]+[章回節节話话部卷](?:[\s　：:].*)?\s*"
)
_LIST_ITEM = re.compile(r"\s*(?:[-*+•‣◦–—]|\(?\w{1,3}[.)])\s")
_FORBIDDEN_ENDS: Final = tuple(".!?…,;:-–—\"'”’»)。！？、，；：」』؟،।")
_FORBIDDEN_STARTS: Final = tuple("\"'“‘«»„‚「『—–-*•…([<{")


def is_chapter_line(line: str) -> bool:
    """Whether a line is a heading wherever it stands: ``# …``, ``Chapter 3``."""
    if len(line) > _MAX_HEADING_CHARACTERS:
        return bool(_MARKDOWN.match(line)) and len(line) <= 2 * _MAX_HEADING_CHARACTERS
    return bool(
        _MARKDOWN.match(line)
        or _CHAPTER.fullmatch(line.strip())
        or _CJK_CHAPTER.fullmatch(line.strip())
    )


def is_title_like(line: str) -> bool:
    """Whether a line could be a heading if blank lines surround it and prose follows."""
    title = line.strip()
    return (
        0 < len(title) <= _MAX_HEADING_CHARACTERS
        and len(title.split()) <= _MAX_HEADING_WORDS
        and not title.endswith(_FORBIDDEN_ENDS)
        and not title.startswith(_FORBIDDEN_STARTS)
        and not title[0].islower()
        and any(character.isalpha() for character in title)
        and not _LIST_ITEM.match(title)
    )


def heading_title(line: str) -> str:
    """The words of a heading, without Markdown's signs."""
    return " ".join(_MARKDOWN_SIGNS.sub("", line).split())
