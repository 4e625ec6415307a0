"""Pronunciation rules: "read this as that", checked and applied."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import regex

from mynah.errors import InvalidRequest
from mynah.text.scripts import UNSPACED

MAX_RULES: Final = 15_000  # of a job: three dictionaries of 5,000
MAX_WRITTEN_CHARACTERS: Final = 100
MAX_SPOKEN_CHARACTERS: Final = 200

_UNSPACED = regex.compile(f"[{UNSPACED}]")
# A trie's node: a character leads to the next node, END to the rule that ends here.
_END: Final = ""
_Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PronunciationRule:
    """Read ``written`` as ``spoken``: other words ("alias") or IPA ("phoneme").

    ``at_word_boundaries``: not inside a longer word. Scripts without spaces have no such thing,
    there it changes nothing.
    """

    kind: Literal["alias", "phoneme"]
    written: str
    spoken: str
    is_case_sensitive: bool = False
    at_word_boundaries: bool = True

    def __post_init__(self) -> None:
        problem = _problem_of(self)
        if problem:
            raise InvalidRequest(problem, code="invalid_rule", fields={"rules": [problem]})


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """Characters of a text to which a rule applies."""

    start: int
    end: int
    rule: PronunciationRule


def parse_rules(documents: Iterable[dict[str, Any]]) -> tuple[PronunciationRule, ...]:
    """Rules from JSON objects with the fields of PronunciationRule.

    Raises InvalidRequest (``invalid_rule``) that names the rule by its number, from 1.
    """
    rules: list[PronunciationRule] = []
    for number, document in enumerate(documents, 1):
        if number > MAX_RULES:
            raise _invalid(f"There may be {MAX_RULES} rules at most.")
        try:
            rules.append(PronunciationRule(**document))
        except (TypeError, InvalidRequest) as error:
            reason = error.message if isinstance(error, InvalidRequest) else "Unknown or no fields."
            raise _invalid(f"Rule {number}: {reason}") from error
    return tuple(rules)


def dump_rules(rules: Iterable[PronunciationRule]) -> list[dict[str, Any]]:
    """The inverse of ``parse_rules``."""
    return [
        {
            "kind": rule.kind,
            "written": rule.written,
            "spoken": rule.spoken,
            "is_case_sensitive": rule.is_case_sensitive,
            "at_word_boundaries": rule.at_word_boundaries,
        }
        for rule in rules
    ]


class RuleBook:
    """Rules ready to be found in texts; of two for the same writing the first counts."""

    def __init__(self, rules: Iterable[PronunciationRule]) -> None:
        self._exact: _Node = {}
        self._folded: _Node = {}
        for rule in rules:
            written = unicodedata.normalize("NFC", rule.written)
            if rule.is_case_sensitive:
                _insert(self._exact, written, rule)
            else:
                _insert(self._folded, map(_fold, written), rule)

    def iter_matches(
        self, text: str, start: int = 0, end: int | None = None
    ) -> Iterator[RuleMatch]:
        """Where rules apply in ``text[start:end]``, from left to right, the longest first.

        What is around the range counts for word boundaries. Time grows with the length of the
        text and of the longest rule, not with the number of rules.
        """
        end = len(text) if end is None else end
        position = start if self._exact or self._folded else end
        while position < end:
            match = self._longest_at(text, position)
            if match is not None:
                yield match
                position = match.end
            else:
                position += 1

    def _longest_at(self, text: str, start: int) -> RuleMatch | None:
        best: RuleMatch | None = None
        first = text[start]
        if first in self._exact:
            best = _walk(self._exact, text, start, str)
        if _fold(first) in self._folded:
            other = _walk(self._folded, text, start, _fold)
            if other is not None and (best is None or other.end > best.end):
                best = other
        return best


@lru_cache(maxsize=16)
def load_rule_book(rules: tuple[PronunciationRule, ...]) -> RuleBook:
    """The rule book of ``rules``, kept for the next job with the same dictionaries."""
    return RuleBook(rules)


def _insert(root: _Node, written: Iterable[str], rule: PronunciationRule) -> None:
    node = root
    for character in written:
        node = node.setdefault(character, {})
    node.setdefault(_END, rule)


def _walk(root: _Node, text: str, start: int, fold: Callable[[str], str]) -> RuleMatch | None:
    best: RuleMatch | None = None
    node, position = root, start
    while position < len(text):
        node = node.get(fold(text[position]), {})
        if not node:
            break
        position += 1
        rule = node.get(_END)
        if rule is not None and _stands_alone(rule, text, start, position):
            best = RuleMatch(start, position, rule)
    return best


def _stands_alone(rule: PronunciationRule, text: str, start: int, end: int) -> bool:
    """Whether neither end lies inside a longer word, or the rule does not mind."""
    if not rule.at_word_boundaries:
        return True
    return not (start > 0 and _joins(text[start - 1], text[start])) and not (
        end < len(text) and _joins(text[end - 1], text[end])
    )


def _joins(left: str, right: str) -> bool:
    """Whether two neighbours belong to one word."""
    if unicodedata.category(right)[0] == "M":
        return True
    return (
        _is_wordlike(left)
        and _is_wordlike(right)
        and not (_UNSPACED.match(left) or _UNSPACED.match(right))
    )


def _is_wordlike(character: str) -> bool:
    return character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M"


def _fold(character: str) -> str:
    """Lower case where that is one character: positions must stay."""
    folded = character.lower()
    return folded if len(folded) == 1 else character


def _problem_of(rule: PronunciationRule) -> str | None:
    if rule.kind not in ("alias", "phoneme"):
        return "The kind of a rule is alias or phoneme."
    for name, value, limit in (
        ("written", rule.written, MAX_WRITTEN_CHARACTERS),
        ("spoken", rule.spoken, MAX_SPOKEN_CHARACTERS),
    ):
        if not isinstance(value, str) or not value or value != " ".join(value.split()):
            return f"{name} must be text with single spaces, and none around it."
        if len(value) > limit:
            return f"{name} may have {limit} characters at most."
        if any(unicodedata.category(character) in ("Cc", "Cs", "Cn") for character in value):
            return f"{name} holds control characters."
    flags = (rule.is_case_sensitive, rule.at_word_boundaries)
    if not all(isinstance(flag, bool) for flag in flags):
        return "is_case_sensitive and at_word_boundaries are true or false."
    return None


def _invalid(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_rule", fields={"rules": [message]})
