"""Pronunciation rules and lexicons."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mynah.errors import InvalidRequest
from mynah.text.pls import dump_pls, parse_pls
from mynah.text.pronunciation import PronunciationRule, RuleBook, dump_rules, parse_rules


def alias(written: str, spoken: str = "spoken", **flags: Any) -> PronunciationRule:
    return PronunciationRule("alias", written, spoken, **flags)


def found(text: str, *rules: PronunciationRule) -> list[str]:
    return [text[match.start : match.end] for match in RuleBook(rules).iter_matches(text)]


@pytest.mark.parametrize(
    ("text", "rule", "expected"),
    [
        ("SQL, sql and MySQL", alias("SQL"), ["SQL", "sql"]),
        ("SQL, sql and MySQL", alias("SQL", is_case_sensitive=True), ["SQL"]),
        ("SQL, sql and MySQL", alias("SQL", at_word_boundaries=False), ["SQL", "sql", "SQL"]),
        ("C++ and xC++", alias("C++"), ["C++"]),
        ("use .NET now", alias(".net"), [".NET"]),
        ("New York is new york", alias("New York"), ["New York", "new york"]),
        ("我爱北京天安门", alias("北京"), ["北京"]),
        ("cafe\u0301 cafe", alias("cafe"), ["cafe"]),
        ("STRASSE Straße", alias("straße"), ["Straße"]),
        ("under_score", alias("under"), []),
        ("I ❤ you", alias("❤"), ["❤"]),
        ("İstanbul", alias("istanbul"), []),
    ],
)
def test_rules_mind_case_and_word_boundaries(
    text: str, rule: PronunciationRule, expected: list[str]
) -> None:
    assert found(text, rule) == expected


def test_the_longest_rule_wins_then_the_first() -> None:
    rules = [alias("new"), alias("New York City"), alias("New York"), alias("new", "later")]
    assert found("new New York and New York City", *rules) == ["new", "New York", "New York City"]
    (match,) = RuleBook(rules).iter_matches("new")
    assert match.rule.spoken == "spoken"


def test_what_a_rule_gives_is_not_replaced_again() -> None:
    assert found("a b", alias("a", "b"), alias("b", "a")) == ["a", "b"]


def test_thousands_of_rules_cost_no_more_than_one() -> None:
    rules = [alias(f"word{number} of many") for number in range(5000)]
    text = "word4999 of many and word1 of few, " * 1500
    started = time.process_time()
    assert len(found(text, *rules)) == 1500
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "alias", "written": "", "spoken": "x"},
        {"kind": "alias", "written": " a", "spoken": "x"},
        {"kind": "alias", "written": "a  b", "spoken": "x"},
        {"kind": "alias", "written": "a", "spoken": ""},
        {"kind": "alias", "written": "a" * 101, "spoken": "x"},
        {"kind": "alias", "written": "a", "spoken": "x" * 201},
        {"kind": "alias", "written": "a\x00", "spoken": "x"},
        {"kind": "alias", "written": 5, "spoken": "x"},
        {"kind": "other", "written": "a", "spoken": "x"},
        {"kind": "alias", "written": "a", "spoken": "x", "is_case_sensitive": "yes"},
        {"kind": "alias", "written": "a"},
        {"kind": "alias", "written": "a", "spoken": "x", "extra": 1},
    ],
)
def test_bad_rules_are_refused_by_their_number(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="Rule 2") as caught:
        parse_rules([{"kind": "alias", "written": "ok", "spoken": "fine"}, document])
    assert caught.value.code == "invalid_rule"


VALUES = st.lists(
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=10),
    min_size=1,
    max_size=3,
).map(" ".join)
RULES = st.lists(
    st.builds(
        PronunciationRule,
        st.sampled_from(["alias", "phoneme"]),
        VALUES,
        VALUES,
        st.booleans(),
        st.booleans(),
    ),
    max_size=5,
).map(tuple)


@settings(deadline=None)
@given(RULES)
def test_rules_survive_json_and_pls(rules: tuple[PronunciationRule, ...]) -> None:
    assert parse_rules(dump_rules(rules)) == rules
    assert parse_pls(dump_pls(rules, "de")) == rules


def test_a_strangers_lexicon_is_read() -> None:
    document = """<?xml version="1.0" encoding="UTF-8"?>
<!-- made elsewhere -->
<lexicon version="1.0" xmlns="http://www.w3.org/2005/01/pronunciation-lexicon"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" alphabet="ipa" xml:lang="en">
  <metadata/>
  <lexeme role="verb">
    <grapheme>tomato</grapheme><grapheme>Tomate</grapheme>
    <phoneme>t&#x259;&#x2C8;me&#x26A;to&#x28A;</phoneme>
    <phoneme prefer="true">other</phoneme>
    <example>a tomato</example>
  </lexeme>
  <lexeme><grapheme>W3C</grapheme><alias>World &amp; Web</alias></lexeme>
</lexicon>"""
    assert parse_pls(document) == (
        PronunciationRule("phoneme", "tomato", "təˈmeɪtoʊ"),
        PronunciationRule("phoneme", "Tomate", "təˈmeɪtoʊ"),
        PronunciationRule("alias", "W3C", "World & Web"),
    )


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ("<lexicon>\n<lexeme>", 2),
        ("<lexicon>\n<foo/></lexicon>", 2),
        ("<lexicon><lexeme>\n</lexeme></lexicon>", 1),
        ("<lexicon><lexeme><grapheme>a</grapheme></lexeme></lexicon>", 1),
        ('<lexicon alphabet="x-sampa"><lexeme>\n<phoneme>a</phoneme></lexeme></lexicon>', 2),
        ('<!DOCTYPE lexicon [<!ENTITY a "aaaa">]><lexicon/>', 1),
        ("<lexicon>\n\n&a;</lexicon>", 3),
        ("<lexicon></lexeme>", 1),
        ("<p>" * 10_000, 1),
        ("<lexicon><lexeme><grapheme>a</grapheme><alias> </alias></lexeme></lexicon>", 1),
    ],
)
def test_a_bad_lexicon_is_refused_with_its_line(document: str, line: int) -> None:
    with pytest.raises(InvalidRequest, match=f"line {line}") as caught:
        parse_pls(document)
    assert caught.value.code == "invalid_rule"
