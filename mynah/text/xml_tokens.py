"""The tags and texts of a piece of XML, with their places in it.

Only what a document without a DTD may hold. Entities are the five of XML and numbers, so nothing
expands; a DOCTYPE or a processing instruction is refused. One pass, no recursion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class XmlText:
    """Characters between tags: as they stand in the source, or one decoded entity."""

    start: int
    end: int
    text: str
    is_verbatim: bool


@dataclass(frozen=True, slots=True)
class XmlTag:
    """A tag; ``is_empty``: ``<break/>``."""

    start: int
    end: int
    name: str
    attributes: Mapping[str, str]
    is_closing: bool
    is_empty: bool


class XmlProblem(Exception):
    """What is wrong, and at which offset."""

    def __init__(self, text: str, offset: int) -> None:
        super().__init__(text)
        self.text = text
        self.offset = offset


_NAME = r"[A-Za-z_][\w.:-]{0,60}"
# Possessive: what does not match fails at once. A tag ends before the next "<" in any case.
_TAG = re.compile(rf"<(/?)({_NAME})((?:[^<>\"'/]++|\"[^\"<]*+\"|'[^'<]*+'|/(?!>))*+)(/?)>")
_ATTRIBUTE = re.compile(rf"\s+({_NAME})\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_ENTITY = re.compile(r"&(?:#(\d{1,7})|#[xX]([0-9A-Fa-f]{1,6})|([A-Za-z]{1,10}));")
_SPECIAL = re.compile(r"[<&]")
_DECLARATION = re.compile(r"\s*<\?xml\s[^<>?]{0,200}\?>")
_ENTITIES: Final = MappingProxyType({"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"})


def iter_xml_tokens(
    source: str, start: int, end: int, *, is_lenient: bool = False
) -> Iterator[XmlTag | XmlText]:
    """The tags and texts of ``source[start:end]``, in order; comments are left out.

    ``is_lenient``: a ``<`` or ``&`` that begins nothing is text. Raises XmlProblem.
    """
    declaration = _DECLARATION.match(source, start, end)
    position = declaration.end() if declaration else start
    while position < end:
        special = _SPECIAL.search(source, position, end)
        stop = special.start() if special else end
        if stop > position:
            yield XmlText(position, stop, source[position:stop], is_verbatim=True)
        if special is None:
            return
        try:
            token, position = _read_special(source, stop, end)
        except XmlProblem:
            is_stray = not source.startswith(("<!", "<?"), stop)
            if not (is_lenient and is_stray):
                raise
            token, position = XmlText(stop, stop + 1, source[stop], is_verbatim=True), stop + 1
        if token is not None:
            yield token


def _read_special(source: str, start: int, end: int) -> tuple[XmlTag | XmlText | None, int]:
    """What begins with the ``<`` or ``&`` at ``start``, and where it ends."""
    if source[start] == "&":
        entity = _read_entity(source, start, end)
        return entity, entity.end
    if source.startswith("<!--", start):
        return None, _find_end(source, "-->", start + 4, end, "The comment is never closed.")
    if source.startswith("<![CDATA[", start):
        stop = _find_end(source, "]]>", start + 9, end, "The CDATA section is never closed.")
        inner = start + 9, stop - 3
        return XmlText(*inner, source[slice(*inner)], is_verbatim=True), stop
    if source.startswith("<!", start):
        raise XmlProblem("A DOCTYPE or other declaration is not allowed.", start)
    if source.startswith("<?", start):
        raise XmlProblem("A processing instruction is not allowed.", start)
    match = _TAG.match(source, start, end)
    if match is None:
        raise XmlProblem("'<' begins no tag here; write &lt; for the sign.", start)
    attributes = _read_attributes(match[3], start)
    is_closing, is_empty = bool(match[1]), bool(match[4])
    if is_closing and (attributes or is_empty):
        raise XmlProblem("A closing tag holds a name only.", start)
    tag = XmlTag(start, match.end(), match[2], attributes, is_closing, is_empty)
    return tag, match.end()


def _read_attributes(written: str, offset: int) -> dict[str, str]:
    attributes: dict[str, str] = {}
    position = 0
    while match := _ATTRIBUTE.match(written, position):
        name = match[1]
        if name in attributes:
            raise XmlProblem(f"The attribute {name} stands twice.", offset)
        value = match[2] if match[2] is not None else match[3]
        attributes[name] = _decode(value, offset)
        position = match.end()
    if written[position:].strip():
        raise XmlProblem("The tag's attributes cannot be read.", offset)
    return attributes


def _decode(value: str, offset: int) -> str:
    """An attribute's value with its entities decoded."""
    parts: list[str] = []
    position = 0
    while (special := value.find("&", position)) >= 0:
        parts.append(value[position:special])
        match = _ENTITY.match(value, special)
        if match is None:
            raise XmlProblem("'&' begins no entity here; write &amp; for the sign.", offset)
        parts.append(_entity_character(match, offset))
        position = match.end()
    return "".join([*parts, value[position:]])


def _read_entity(source: str, start: int, end: int) -> XmlText:
    match = _ENTITY.match(source, start, end)
    if match is None:
        raise XmlProblem("'&' begins no entity here; write &amp; for the sign.", start)
    return XmlText(start, match.end(), _entity_character(match, start), is_verbatim=False)


def _entity_character(match: re.Match[str], offset: int) -> str:
    decimal, hexadecimal, name = match.groups()
    if name:
        if name not in _ENTITIES:
            raise XmlProblem(f"&{name}; is not known: only the five of XML and numbers.", offset)
        return _ENTITIES[name]
    code = int(decimal) if decimal else int(hexadecimal, 16)
    is_character = code in (9, 10, 13) or 32 <= code < 0xD800 or 0xE000 <= code <= 0x10FFFF
    if not is_character:
        raise XmlProblem(f"Character {code} is not allowed.", offset)
    return chr(code)


def _find_end(source: str, mark: str, start: int, end: int, problem: str) -> int:
    found = source.find(mark, start, end)
    if found < 0:
        raise XmlProblem(problem, start)
    return found + len(mark)
