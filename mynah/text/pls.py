"""Pronunciation rules as PLS: W3C Pronunciation Lexicon Specification 1.0 (2008).

Read without a DTD and without entities of its own; whether a rule minds case or word boundaries
has no place in PLS, so it is kept in attributes of our own namespace, which others ignore.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal
from xml.sax.saxutils import escape, quoteattr

from mynah.errors import InvalidRequest
from mynah.text.pronunciation import MAX_RULES, PronunciationRule
from mynah.text.xml_tokens import XmlProblem, XmlTag, XmlText, iter_xml_tokens

MAX_PLS_CHARACTERS: Final = 5_000_000
_NAMESPACE: Final = "http://www.w3.org/2005/01/pronunciation-lexicon"
_OWN_NAMESPACE: Final = "urn:mynah:lexicon"
_TEXT_TAGS: Final = frozenset({"grapheme", "phoneme", "alias", "example", "meta", "metadata"})


@dataclass(slots=True)
class _Lexeme:
    attributes: dict[str, str]
    offset: int
    graphemes: list[str] = field(default_factory=list)
    phonemes: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)


def parse_pls(document: str) -> tuple[PronunciationRule, ...]:
    """The rules of a lexicon: one per grapheme, with the lexeme's first pronunciation.

    Raises InvalidRequest (``invalid_rule``) with the line of what cannot be read.
    """
    if len(document) > MAX_PLS_CHARACTERS:
        raise _invalid(document, 0, f"A lexicon may have {MAX_PLS_CHARACTERS} characters at most.")
    reader = _LexiconReader(document)
    try:
        for token in iter_xml_tokens(document.lstrip("\ufeff"), 0, len(document.lstrip("\ufeff"))):
            reader.read(token)
    except XmlProblem as problem:
        raise _invalid(document, problem.offset, problem.text) from problem
    reader.finish()
    return tuple(reader.rules)


def dump_pls(rules: Iterable[PronunciationRule], language: str = "en") -> str:
    """``rules`` as a lexicon that ``parse_pls`` reads back as they were."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<lexicon version="1.0" xmlns="{_NAMESPACE}" xmlns:mynah="{_OWN_NAMESPACE}"',
        f'  alphabet="ipa" xml:lang={quoteattr(language)}>',
    ]
    for rule in rules:
        flags = ""
        if rule.is_case_sensitive:
            flags += ' mynah:case-sensitive="true"'
        if not rule.at_word_boundaries:
            flags += ' mynah:word-boundaries="false"'
        lines += [
            f"  <lexeme{flags}>",
            f"    <grapheme>{escape(rule.written)}</grapheme>",
            f"    <{rule.kind}>{escape(rule.spoken)}</{rule.kind}>",
            "  </lexeme>",
        ]
    return "\n".join([*lines, "</lexicon>", ""])


class _LexiconReader:
    """Takes the tokens of a lexicon one by one."""

    def __init__(self, document: str) -> None:
        self.rules: list[PronunciationRule] = []
        self._document = document
        self._open: list[str] = []
        self._alphabet = "ipa"
        self._lexeme: _Lexeme | None = None
        self._text: list[str] = []

    def read(self, token: XmlTag | XmlText) -> None:
        if isinstance(token, XmlText):
            self._text.append(token.text)
        elif token.is_closing:
            self._close(token)
        else:
            self._open_tag(token)
            if token.is_empty:
                self._close(token)

    def finish(self) -> None:
        if self._open:
            raise self._error(len(self._document), f"<{self._open[-1]}> is never closed.")

    def _open_tag(self, token: XmlTag) -> None:
        above = self._open[-1] if self._open else None
        is_expected = (
            (above is None and token.name == "lexicon")
            or (above == "lexicon" and token.name in {"lexeme", "meta", "metadata"})
            or (above == "lexeme" and token.name in _TEXT_TAGS)
        )
        if not is_expected:
            raise self._error(token.start, f"<{token.name}> is not expected here.")
        self._open.append(token.name)
        self._text = []
        if token.name == "lexicon":
            self._alphabet = token.attributes.get("alphabet", "ipa")
        elif token.name == "lexeme":
            self._lexeme = _Lexeme(dict(token.attributes), token.start)
        elif token.name == "phoneme":
            alphabet = token.attributes.get("alphabet", self._alphabet)
            if alphabet != "ipa":
                raise self._error(token.start, "The only alphabet is ipa.")

    def _close(self, token: XmlTag) -> None:
        if not self._open or self._open[-1] != token.name:
            raise self._error(token.start, f"</{token.name}> closes nothing.")
        self._open.pop()
        text = " ".join("".join(self._text).split())
        lexeme = self._lexeme
        if lexeme is None:
            return
        if token.name == "grapheme":
            lexeme.graphemes.append(text)
        elif token.name == "phoneme":
            lexeme.phonemes.append(text)
        elif token.name == "alias":
            lexeme.aliases.append(text)
        elif token.name == "lexeme":
            self._add_rules(lexeme)
            self._lexeme = None

    def _add_rules(self, lexeme: _Lexeme) -> None:
        kind: Literal["alias", "phoneme"] = "phoneme" if lexeme.phonemes else "alias"
        spoken = lexeme.phonemes or lexeme.aliases
        if not lexeme.graphemes or not spoken:
            raise self._error(lexeme.offset, "A lexeme needs a grapheme and a phoneme or alias.")
        for written in lexeme.graphemes:
            if len(self.rules) >= MAX_RULES:
                raise self._error(lexeme.offset, f"There may be {MAX_RULES} rules at most.")
            try:
                rule = PronunciationRule(
                    kind,
                    written,
                    spoken[0],
                    is_case_sensitive=lexeme.attributes.get("mynah:case-sensitive") == "true",
                    at_word_boundaries=lexeme.attributes.get("mynah:word-boundaries") != "false",
                )
            except InvalidRequest as error:
                raise self._error(lexeme.offset, error.message) from error
            self.rules.append(rule)

    def _error(self, offset: int, problem: str) -> InvalidRequest:
        return _invalid(self._document, offset, problem)


def _invalid(document: str, offset: int, problem: str) -> InvalidRequest:
    message = f"{problem} (line {document.count(chr(10), 0, offset) + 1})"
    return InvalidRequest(message, code="invalid_rule", fields={"rules": [message]})
