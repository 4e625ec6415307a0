"""A subset of SSML 1.1 (W3C, 2010), read with its place in the source.

No parser of general XML: what is not needed (DTDs, entities of one's own, processing
instructions) is not there to be abused, and a stack instead of recursion makes depth harmless.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from mynah.text.boundaries import Boundary
from mynah.text.brackets import UnknownTags, parse_language_tag
from mynah.text.marked_text import MarkedTextBuilder, Style
from mynah.text.markup_values import (
    MAX_DEPTH,
    BadValue,
    apply_emphasis,
    apply_prosody,
    markup_error,
    parse_break_ms,
)
from mynah.text.xml_tokens import (
    XmlProblem,
    XmlTag,
    XmlText,
    iter_xml_tokens,
)

SAY_AS_KINDS: Final = frozenset(
    {"characters", "spell-out", "verbatim", "cardinal", "number", "ordinal", "digits", "date"}
    | {"time", "telephone", "currency", "fraction", "unit"}
)
_MAX_OVERRIDE_CHARACTERS: Final = 200  # an override is spoken in one piece
_DATE_FORMAT = re.compile(r"[ymd]{1,3}")


@dataclass(frozen=True, slots=True)
class _OpenTag:
    name: str
    offset: int
    style_around: Style
    start: int  # in the text
    attributes: Mapping[str, str]


def read_ssml(
    builder: MarkedTextBuilder, source: str, start: int, end: int, unknown_tags: UnknownTags
) -> None:
    """Add ``source[start:end]`` to ``builder``. Raises InvalidRequest (``invalid_markup``).

    Of a tag that is not in the subset the content is spoken when ``unknown_tags`` is "speak".
    """
    reader = _SsmlReader(builder, source, unknown_tags)
    try:
        for token in iter_xml_tokens(source, start, end, is_lenient=unknown_tags == "speak"):
            reader.read(token)
    except XmlProblem as problem:
        raise markup_error(source, problem.offset, problem.text) from problem
    reader.finish()


class _SsmlReader:
    """Takes the tokens of a source one by one."""

    def __init__(self, builder: MarkedTextBuilder, source: str, unknown_tags: UnknownTags) -> None:
        self._builder = builder
        self._source = source
        self._unknown_tags = unknown_tags
        self._open: list[_OpenTag] = []
        self._has_root = False

    def read(self, token: XmlTag | XmlText) -> None:
        if isinstance(token, XmlText):
            if token.is_verbatim:
                self._builder.add_text(self._source, token.start, token.end)
            else:
                self._builder.add_character(token.text, token.start, token.end)
            return
        try:
            if token.is_closing:
                self._close(token)
            else:
                self._open_tag(token)
                if token.is_empty:
                    self._close(token)
        except BadValue as error:
            raise markup_error(self._source, token.start, f"<{token.name}>: {error}.") from error

    def finish(self) -> None:
        if self._open:
            tag = self._open[-1]
            raise markup_error(self._source, tag.offset, f"<{tag.name}> is never closed.")

    def _open_tag(self, token: XmlTag) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise BadValue(f"tags are nested deeper than {MAX_DEPTH}")
        if token.name not in _OPENERS and self._unknown_tags == "error":
            raise BadValue("this tag is not known")
        if self._open and self._open[-1].name in _OVERRIDING:
            raise BadValue(f"<{self._open[-1].name}> may hold text only")
        style = self._builder.style
        self._open.append(
            _OpenTag(token.name, token.start, style, self._builder.length, token.attributes)
        )
        opener = _OPENERS.get(token.name)
        if opener is not None:
            opener(self, token)

    def _close(self, token: XmlTag) -> None:
        if not self._open or self._open[-1].name != token.name:
            expected = f"</{self._open[-1].name}>" if self._open else "no closing tag"
            raise BadValue(f"{expected} is expected here")
        tag = self._open.pop()
        closer = _CLOSERS.get(token.name)
        if closer is not None:
            closer(self, tag, token)
        self._builder.set_style(tag.style_around)

    def _separate(self, token: XmlTag, characters: str) -> None:
        """Space in the text that stands for a tag."""
        for character in characters:
            self._builder.add_character(character, token.start, token.end)

    # What a tag does when it opens.

    def _start_speak(self, token: XmlTag) -> None:
        if len(self._open) > 1 or self._has_root:
            raise BadValue("<speak> stands once, around everything")
        self._has_root = True
        if "xml:lang" in token.attributes:
            self._start_lang(token)

    def _start_paragraph(self, token: XmlTag) -> None:
        self._separate(token, "\n\n")

    def _start_sentence(self, token: XmlTag) -> None:
        self._builder.end_stretch(Boundary.SENTENCE)
        self._separate(token, " ")

    def _start_break(self, token: XmlTag) -> None:
        self._builder.end_stretch(Boundary.WORD, parse_break_ms(token.attributes))
        self._separate(token, " ")

    def _start_prosody(self, token: XmlTag) -> None:
        self._builder.set_style(apply_prosody(self._builder.style, token.attributes))

    def _start_emphasis(self, token: XmlTag) -> None:
        level = token.attributes.get("level", "moderate")
        self._builder.set_style(apply_emphasis(self._builder.style, level))

    def _start_voice(self, token: XmlTag) -> None:
        name = token.attributes.get("name", "").strip()
        if not name:
            raise BadValue("the attribute name is missing")
        self._builder.set_style(replace(self._builder.style, voice=name))
        self._separate(token, " ")

    def _start_lang(self, token: XmlTag) -> None:
        language = parse_language_tag(token.attributes.get("xml:lang", ""))
        self._builder.set_style(replace(self._builder.style, language=language))

    def _start_say_as(self, token: XmlTag) -> None:
        kind = token.attributes.get("interpret-as", "")
        if kind not in SAY_AS_KINDS:
            raise BadValue(f"interpret-as is one of {', '.join(sorted(SAY_AS_KINDS))}")
        if kind == "date" and not _DATE_FORMAT.fullmatch(token.attributes.get("format", "ymd")):
            raise BadValue("the format of a date is made of y, m and d")

    def _start_sub(self, token: XmlTag) -> None:
        alias = token.attributes.get("alias")
        if alias is None or len(alias) > _MAX_OVERRIDE_CHARACTERS:
            raise BadValue(f"alias is needed, with {_MAX_OVERRIDE_CHARACTERS} characters at most")

    def _start_phoneme(self, token: XmlTag) -> None:
        if token.attributes.get("alphabet", "ipa") != "ipa":
            raise BadValue("the only alphabet is ipa")
        if not 0 < len(token.attributes.get("ph", "").strip()) <= _MAX_OVERRIDE_CHARACTERS:
            raise BadValue(f"ph is needed, with {_MAX_OVERRIDE_CHARACTERS} characters at most")

    # What it does when it closes.

    def _end_paragraph(self, _tag: _OpenTag, token: XmlTag) -> None:
        self._separate(token, "\n\n")

    def _end_sentence(self, _tag: _OpenTag, token: XmlTag) -> None:
        self._builder.end_stretch(Boundary.SENTENCE)
        self._separate(token, " ")

    def _end_break(self, tag: _OpenTag, _token: XmlTag) -> None:
        if self._builder.length > tag.start + 1:  # the separator
            raise BadValue("<break> holds nothing")

    def _end_say_as(self, tag: _OpenTag, _token: XmlTag) -> None:
        self._refuse_long(tag)
        detail = tag.attributes.get("format", "")
        kind = tag.attributes["interpret-as"]
        self._builder.add_override(tag.start, "say_as", kind, detail)

    def _end_sub(self, tag: _OpenTag, _token: XmlTag) -> None:
        self._refuse_long(tag)
        self._builder.add_override(tag.start, "alias", tag.attributes["alias"])

    def _end_phoneme(self, tag: _OpenTag, _token: XmlTag) -> None:
        self._refuse_long(tag)
        self._builder.add_override(tag.start, "phoneme", tag.attributes["ph"].strip())

    def _refuse_long(self, tag: _OpenTag) -> None:
        if self._builder.length - tag.start > _MAX_OVERRIDE_CHARACTERS:
            raise BadValue(f"it holds {_MAX_OVERRIDE_CHARACTERS} characters at most")


_OVERRIDING: Final = frozenset({"say-as", "sub", "phoneme", "break"})
_OPENERS: Final[Mapping[str, Callable[[_SsmlReader, XmlTag], None]]] = MappingProxyType(
    {
        "speak": _SsmlReader._start_speak,
        "p": _SsmlReader._start_paragraph,
        "s": _SsmlReader._start_sentence,
        "break": _SsmlReader._start_break,
        "prosody": _SsmlReader._start_prosody,
        "emphasis": _SsmlReader._start_emphasis,
        "voice": _SsmlReader._start_voice,
        "lang": _SsmlReader._start_lang,
        "say-as": _SsmlReader._start_say_as,
        "sub": _SsmlReader._start_sub,
        "phoneme": _SsmlReader._start_phoneme,
    }
)
_CLOSERS: Final[Mapping[str, Callable[[_SsmlReader, _OpenTag, XmlTag], None]]] = MappingProxyType(
    {
        "p": _SsmlReader._end_paragraph,
        "s": _SsmlReader._end_sentence,
        "break": _SsmlReader._end_break,
        "say-as": _SsmlReader._end_say_as,
        "sub": _SsmlReader._end_sub,
        "phoneme": _SsmlReader._end_phoneme,
    }
)
