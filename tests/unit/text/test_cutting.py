"""Cutting a text into pieces: properties of any text, and where single texts are cut."""

from __future__ import annotations

import time
import unicodedata
from itertools import pairwise

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from mynah.errors import InvalidRequest
from mynah.text.boundaries import Boundary, find_boundaries
from mynah.text.cutting import Cut, PieceSizes, Stretch, cut_stretches, cut_text

SMALL = PieceSizes(20, 30, 20)

WORDS = st.text("abcdefgh", min_size=1, max_size=12)
MARKED = st.lists(
    st.sampled_from(
        [
            "word",
            "Word",
            " ",
            " ",
            "\n",
            "\n\n",
            ". ",
            ", ",
            "! ",
            "?",
            "…",
            "—",
            '"',
            "Dr.",
            "1.",
            "3.14",
            "z. B.",
            "# ",
            "Chapter 1",
            "你好",
            "。",
            "」",
            "สวัสดี",
            "مرحبا",
            "؟",
            "।",
            "é",
            "é",
            "👨\u200d👩\u200d👧",
            "🇩🇪",
            "- ",
            "\t",
            "\xa0",
            "U.S. ",
        ]
    ),
    max_size=120,
).map("".join)


def pieces(text: str, sizes: PieceSizes, limit: int = 600) -> list[str]:
    return [text[cut.start : cut.end] for cut in cut_text(text, sizes, limit)]


def breaths(text: str, language: str = "en") -> list[str]:
    """The text at all its boundaries."""
    ends = [0, *find_boundaries(text, language).positions, len(text)]
    parts = [text[start:end].strip() for start, end in pairwise(ends)]
    return [part for part in parts if part]


def assert_covers(text: str, cuts: list[Cut]) -> None:
    position = 0
    for cut in cuts:
        assert not text[position : cut.start].strip()
        assert cut.start < cut.end
        assert text[cut.start : cut.end].strip() == text[cut.start : cut.end]
        position = cut.end
    assert not text[position:].strip()


@settings(deadline=None)
@given(st.text(max_size=1500), st.integers(24, 300))
def test_pieces_and_the_space_between_give_any_text_back(text: str, limit: int) -> None:
    cuts = cut_text(text, SMALL, limit)
    assert_covers(text, cuts)
    assert all(cut.end - cut.start <= limit for cut in cuts)


@settings(deadline=None)
@given(MARKED, st.integers(40, 120), st.sampled_from(["en", "de", "cmn"]))
def test_pieces_of_texts_full_of_marks_give_them_back(text: str, limit: int, language: str) -> None:
    cuts = cut_text(text, SMALL, limit, language)
    assert_covers(text, cuts)
    assert all(cut.end - cut.start <= limit for cut in cuts)


@settings(deadline=None)
@given(MARKED, st.integers(40, 120))
def test_no_cut_falls_inside_a_grapheme(text: str, limit: int) -> None:
    borders = {match.start() for match in regex.finditer(r"\X", text)} | {len(text)}
    for cut in cut_text(text, SMALL, limit):
        assert {cut.start, cut.end} <= borders


@settings(deadline=None)
@given(st.lists(WORDS, min_size=1), st.integers(12, 80))
def test_no_cut_falls_inside_a_word_that_fits(words: list[str], limit: int) -> None:
    assert " ".join(pieces(" ".join(words), SMALL, limit)).split() == words


@settings(deadline=None)
@given(MARKED, st.data())
def test_every_stretch_is_cut_at_its_end(text: str, data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=4).map(sorted))
    edges = [0, *places, len(text)]
    stretches = [Stretch(start, end, 60) for start, end in pairwise(edges)]
    for cut in cut_stretches(text, stretches, SMALL, "en"):
        assert stretches[cut.stretch].start <= cut.start < cut.end <= stretches[cut.stretch].end


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One is here. Two is there! Three?", ["One is here.", "Two is there!", "Three?"]),
        (
            "Dr. Smith met J. R. R. Tolkien. They talked.",
            ["Dr. Smith met J. R. R. Tolkien.", "They talked."],
        ),
        ("He has it, e.g. a boat. It sank.", ["He has it,", "e.g. a boat.", "It sank."]),
        (
            "In the U.S. Army. He left the U.S. He did.",
            ["In the U.S. Army.", "He left the U.S.", "He did."],
        ),
        ("It is 3.14 or 1,000. Yes.", ["It is 3.14 or 1,000.", "Yes."]),
        (
            '"Stop!" she said. "Why?" John asked him.',
            ['"Stop!"', "she said.", '"Why?"', "John asked him."],
        ),
        ("Well… maybe. And… Then it rained.", ["Well…", "maybe.", "And…", "Then it rained."]),
        ("He came — at last — and left.", ["He came —", "at last —", "and left."]),
        ("See www.a.b/c,d;e and x@y.org. Now.", ["See www.a.b/c,d;e and x@y.org.", "Now."]),
        ("At 5 p.m. He left at 5 p.m. sharp.", ["At 5 p.m.", "He left at 5 p.m. sharp."]),
        ("He said no. No. 5 is alive.", ["He said no.", "No. 5 is alive."]),
        ("1. First\n2. Second\n- third", ["1. First", "2. Second", "- third"]),
        ("SHOUT ALL DAY. AND ALL NIGHT.", ["SHOUT ALL DAY.", "AND ALL NIGHT."]),
        ("all small. no capitals. none.", ["all small.", "no capitals.", "none."]),
        ("你好。我是鸟！好吗？", ["你好。", "我是鸟！", "好吗？"]),
        ("「走吧。」彼は言った。", ["「走吧。」", "彼は言った。"]),
        ("مرحبا، كيف حالك؟ بخير.", ["مرحبا،", "كيف حالك؟", "بخير."]),
        ("שלום. מה שלומך?", ["שלום.", "מה שלומך?"]),
        ("यह एक है। वह दो है।", ["यह एक है।", "वह दो है।"]),
        ("(He ran.) She stayed.", ["(He ran.)", "She stayed."]),
        ("He sells apples, etc. They are red.", ["He sells apples,", "etc.", "They are red."]),
    ],
)
def test_sentences_and_clauses_end_where_a_reader_pauses(text: str, expected: list[str]) -> None:
    assert breaths(text) == expected


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("de", "Am 1. Mai kam er. Danach nicht.", ["Am 1. Mai kam er.", "Danach nicht."]),
        ("de", "Es war z. B. Karl. Er war da.", ["Es war z. B. Karl.", "Er war da."]),
        ("de", "Im Jahr 1999. Danach nicht.", ["Im Jahr 1999.", "Danach nicht."]),
        ("en", "He came on day 1. May was late.", ["He came on day 1.", "May was late."]),
        ("fr", "— Bonjour Mme. Dupont !\n— Merci.", ["— Bonjour Mme. Dupont !", "— Merci."]),
    ],
)
def test_full_stops_follow_the_language(language: str, text: str, expected: list[str]) -> None:
    assert breaths(text, language) == expected


def test_dialogue_stays_with_who_speaks() -> None:
    text = '"I will never go!" John Miller said. Nobody came to the house.'
    assert pieces(text, PieceSizes(20, 35, 20)) == [
        '"I will never go!" John Miller said.',
        "Nobody came to the house.",
    ]


def test_headings_and_paragraphs_are_pieces_of_their_own() -> None:
    text = (
        "The Tale\n\nChapter 1\nOnce there was a fox. He ran.\n\n"
        "Then he slept.\n\n# Part *two*\nEnd."
    )
    assert [
        (text[cut.start : cut.end], cut.boundary, cut.heading)
        for cut in cut_text(text, PieceSizes(), 600)
    ] == [
        ("The Tale", Boundary.HEADING, "The Tale"),
        ("Chapter 1", Boundary.HEADING, "Chapter 1"),
        ("Once there was a fox. He ran.", Boundary.PARAGRAPH, None),
        ("Then he slept.", Boundary.HEADING, None),
        ("# Part *two*", Boundary.HEADING, "Part *two*"),
        ("End.", Boundary.SENTENCE, None),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "A single line",
        "One line\n\nAnother line\n\nA third line",  # verses, a list
        '"Come here"\n\nHe came as fast as he could, and that was fast.',
        "Roses are red,\n\nViolets are blue, and so are you, they say in books.",
        "dear all\n\nthis is a letter without capitals and with a first line.",
        "- item\n\nSome prose that is longer than the item is, by far.",
        "A line as long as this one is surely no heading of anything at all\n\nShort prose.",
        "Hi there\n\nShort.",
    ],
)
def test_what_only_looks_like_a_heading_is_none(text: str) -> None:
    assert all(cut.heading is None for cut in cut_text(text, PieceSizes(), 600))


@pytest.mark.parametrize(
    "line",
    [
        "Chapter IV",
        "CHAPTER ONE",
        "Kapitel 3: Der Wald",
        "Part the Second",
        "第三章 春",
        "Глава 2",
        "## Any words, even with a stop.",
        "3. Kapitel",
        "Chapitre deux",
        "Capítulo 7",
    ],
)
def test_chapters_are_known_by_their_words(line: str) -> None:
    cuts = cut_text(f"Before.\n{line}\nIt was dark.", PieceSizes(), 600)
    assert [cut.heading for cut in cuts] == [None, line.lstrip("# "), None]


def test_the_first_piece_is_short_and_the_last_ones_get_shorter() -> None:
    sentence = "The quick brown fox jumps over the lazy dog near the river. "
    lengths = [cut.end - cut.start for cut in cut_text(sentence * 100, PieceSizes(), 600)]
    assert lengths[0] < 130
    assert lengths[10] > 200
    assert max(lengths[-3:]) <= 180
    assert lengths[1] <= lengths[3]


def test_a_long_first_sentence_is_cut_at_a_clause() -> None:
    text = (
        "When the night came down over the little town, " + "and the wind blew, " * 20 + "he left."
    )
    first, *_ = pieces(text, PieceSizes())
    assert first.endswith(",")
    assert len(first) <= 110


def test_a_long_word_behind_an_ideograph_does_not_stop_the_cutter() -> None:
    text = "漢" * 60 + "a" * 100
    assert "".join(pieces(text, SMALL, 30)) == text


def test_numbers_with_spaces_are_kept_together() -> None:
    text = "There were 1 000 000 000 birds in 2 000 000 trees today"
    for limit in range(14, 40):
        joined = "|".join(pieces(text, SMALL, limit))
        assert "1 000 000 000" in joined
        assert "2 000 000" in joined


def test_thai_is_not_cut_between_a_vowel_and_its_consonant() -> None:
    text = "เด็กไปโรงเรียนทุกวันและแม่ไปตลาดใกล้บ้าน" * 10
    for piece in pieces(text, SMALL, 30):
        assert piece[-1] not in "เแโใไ"
        assert not unicodedata.category(piece[0]).startswith("M")
        assert piece[0] not in "ะาำ"


def test_a_word_longer_than_a_piece_is_cut_between_graphemes() -> None:
    word = "e\u0301" * 200
    parts = pieces(word, SMALL, 25)
    assert "".join(parts) == word
    assert all(len(part) == 24 for part in parts[:-1])


def test_atoms_stay_in_one_piece() -> None:
    text = "one two three, four five six. seven eight nine ten eleven"
    atom = (text.index("three"), text.index(" eight"))
    for limit in range(32, 50):
        cuts = cut_stretches(text, [Stretch(0, len(text), limit)], SMALL, "en", [atom])
        assert any(cut.start <= atom[0] and atom[1] <= cut.end for cut in cuts)


@pytest.mark.parametrize("word", ["a" * 1_000_000, "x " + "é" * 2001, "a" + "\u0301" * 3000])
def test_an_endless_word_is_refused(word: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        cut_text(word, PieceSizes(), 600)
    assert caught.value.code == "word_too_long"
    assert "text" in caught.value.fields


@pytest.mark.parametrize("text", ["a" * 2000, "漢" * 5000, "ก" * 5000, "." * 5000, "a." * 5000])
def test_long_runs_that_are_no_endless_words_are_cut(text: str) -> None:
    assert "".join(pieces(text, PieceSizes(), 600)) == text


@pytest.mark.parametrize(
    "part",
    [
        ".",
        '"',
        ". ",
        '?" ',
        "a ",
        "a\n",
        "\n",
        " ",
        "a.",
        "漢",
        "1. ",
        "# \n",
        "Title\n\n",
        "😀",
        "\n \t",
        "a" * 1999 + " ",
        "Mr. ",
        "!?",
        "(",
        "—",
        "́ ",
        "a, b",
    ],
)
def test_hostile_texts_take_time_in_proportion(part: str) -> None:
    text = part * (150_000 // len(part))
    started = time.process_time()
    assert_covers(text, cut_text(text, PieceSizes(), 600))
    # A fraction of a second; what grows with the square of the length would take minutes.
    assert time.process_time() - started < 20
