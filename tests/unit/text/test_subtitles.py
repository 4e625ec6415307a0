"""Subtitles from timed words: what is shown, when, and in which form."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.contracts.speech import Markup
from mynah.text.spoken_words import find_words
from mynah.text.subtitles import (
    LONGEST_S,
    MAX_COLUMNS,
    MAX_LINES,
    Cue,
    TimedWord,
    build_cues,
    columns,
    show_words,
    to_srt,
    to_vtt,
)

STORY = (
    "“Once upon a time,” said the old gardener, “there lived a king — a very small king.” Nobody "
    "laughed. The children sat close together (it was cold), and the wind blew around the house!"
    "\n\nAnd then? Then the door opened…"
)


def timed(text: str, pace_s: float = 0.07) -> list[TimedWord]:
    """The words of a text, each as long as its characters."""
    return [
        TimedWord(word.start * pace_s, word.end * pace_s, word.start, word.end)
        for word in find_words(text)
    ]


def lines_of(cues: list[Cue]) -> list[str]:
    return [line for cue in cues for line in cue.lines]


def test_all_of_the_text_is_shown_in_order_with_its_punctuation() -> None:
    shown = " ".join(lines_of(build_cues(STORY, timed(STORY))))
    assert shown == " ".join(STORY.split())


def test_cues_end_with_sentences_else_with_clauses() -> None:
    cues = build_cues(STORY, timed(STORY))
    ends = [cue.lines[-1][-2:] for cue in cues]
    assert all(re.search(r"[.!?…,”)]", end) for end in ends), lines_of(cues)
    assert ("And then?",) not in [cue.lines for cue in cues]  # 0.6 s would be too short
    assert lines_of(cues)[-1] == "And then? Then the door opened…"


def test_an_opening_quote_goes_with_the_word_that_it_opens() -> None:
    text = 'She nodded and said nothing at all for a while. "Come in, please," she said at last.'
    cues = build_cues(text, timed(text))
    assert lines_of(cues)[-1].startswith('"Come') or cues[-1].lines[0].startswith('"Come')


def test_chinese_lines_hold_half_as_many_characters_and_have_no_spaces() -> None:
    text = (
        "很久很久以前，有一个住在森林里的小女孩，她每天都去河边看鱼，听风的声音。后来下雪了。" * 2
    )
    cues = build_cues(text, timed(text, 0.2))
    assert "".join(lines_of(cues)) == text
    assert all(columns(line) <= MAX_COLUMNS for line in lines_of(cues))
    assert any(len(line) > 12 for line in lines_of(cues))
    assert not any(line[0] in "，。" for line in lines_of(cues))


def test_a_word_longer_than_any_line_is_cut_without_parting_marks() -> None:
    word = "a\u0301" * 200
    cues = build_cues(word, [TimedWord(0.0, 20.0, 0, len(word))])
    assert "".join(lines_of(cues)) == word
    assert all(line[0] == "a" for line in lines_of(cues))
    assert cues[0].end_s == pytest.approx(cues[1].start_s)
    assert cues[-1].end_s == pytest.approx(20.0)


def test_a_long_silence_ends_a_cue() -> None:
    text = "one two three"
    words = timed(text)
    words[-1] = TimedWord(9.0, 9.5, words[-1].start, words[-1].end)
    assert [cue.lines for cue in build_cues(text, words)] == [("one two",), ("three",)]


def test_a_short_cue_stays_up_for_a_second_where_there_is_room() -> None:
    text = "Yes. A second later another sentence is spoken."
    words = timed(text)
    first = TimedWord(0.0, 0.2, words[0].start, words[0].end)
    rest = [TimedWord(w.start_s + 5, w.end_s + 5, w.start, w.end) for w in words[1:]]
    cue = build_cues(text, [first, *rest])[0]
    assert (cue.start_s, cue.end_s, cue.lines) == (0.0, 1.0, ("Yes.",))


def test_marks_of_the_markup_are_not_shown_but_part_words() -> None:
    ssml = '<speak><p>Hello <break time="1s"/>, you.</p><p>Good <b>night</b></p><!-- x --></speak>'
    words = [
        TimedWord(number * 0.5, number * 0.5 + 0.4, ssml.index(word), ssml.index(word) + len(word))
        for number, word in enumerate(("Hello", "you", "Good", "night"))
    ]
    shown = " ".join(lines_of(build_cues(ssml, words, Markup.SSML)))
    assert shown == "Hello, you. Good night"
    text = "Wait [pause 1.5s] here [2], [break]then go."
    found = [
        TimedWord(number * 0.5, number * 0.5 + 0.4, text.index(word), text.index(word) + len(word))
        for number, word in enumerate(("Wait", "here", "2", "then", "go"))
    ]
    assert lines_of(build_cues(text, found, Markup.BRACKETS)) == ["Wait here [2], then go."]
    assert "[pause 1.5s]" in lines_of(build_cues(text, found))[0]


def test_the_sign_of_a_heading_is_not_shown() -> None:
    text = "# Chapter 1\n\nOur #1 fox."
    assert " ".join(lines_of(build_cues(text, timed(text)))) == "Chapter 1 Our #1 fox."


def test_entities_are_shown_as_what_they_stand_for() -> None:
    ssml = "<p>She said: &quot;Tom &amp; Jerry&quot; &unknown; &#8212; <b>Bye</b>.</p>"
    words = [
        TimedWord(number * 0.3, number * 0.3 + 0.2, ssml.index(word), ssml.index(word) + len(word))
        for number, word in enumerate(("She", "said", "Tom", "&amp;", "Jerry", "Bye</b>."))
    ]
    assert " ".join(lines_of(build_cues(ssml, words, Markup.SSML))) == (
        'She said: "Tom & Jerry" &unknown; — Bye.'
    )
    assert show_words(ssml, words, Markup.SSML) == ["She", "said", "Tom", "&", "Jerry", "Bye."]
    assert show_words(ssml, words)[3] == "&amp;"


def test_srt_and_vtt_are_written_as_players_read_them() -> None:
    cues = [Cue(0.0, 1.5, ("a < b & c", "--> d")), Cue(3725.0494, 3726.9996, ("e",))]
    assert to_srt(cues) == (
        "1\n00:00:00,000 --> 00:00:01,500\na < b & c\n--> d\n\n"
        "2\n01:02:05,049 --> 01:02:07,000\ne\n"
    )
    assert to_vtt(cues) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\na &lt; b &amp; c\n--&gt; d\n\n"
        "01:02:05.049 --> 01:02:07.000\ne\n"
    )
    assert to_srt([]) == ""
    assert to_vtt([]) == "WEBVTT\n"


TEXTS = st.text(
    st.one_of(
        st.sampled_from("abcdeé ABC 12,.!?—…\"'“”()[]<>&\n你好世。ี๊สวัสดี🙂"),
        st.characters(exclude_categories=("Cs", "Cc")),
    ),
    max_size=300,
)


@given(TEXTS, st.floats(0.01, 1.5), st.sampled_from(list(Markup)))
def test_any_text_gives_cues_in_order_within_the_limits(
    text: str, pace_s: float, markup: Markup
) -> None:
    words = timed(text, pace_s)
    cues = build_cues(text, words, markup)
    for cue in cues:
        assert 1 <= len(cue.lines) <= MAX_LINES
        assert all(0 < columns(line) <= MAX_COLUMNS or len(line) == 1 for line in cue.lines)
        assert all(line == line.strip() and "\n" not in line for line in cue.lines)
        assert cue.start_s < cue.end_s
    for one, other in pairwise(cues):
        assert one.start_s <= one.end_s <= other.start_s + 0.0011
    slow = max((word.end_s - word.start_s for word in words), default=0.0)
    assert all(cue.end_s - cue.start_s <= max(LONGEST_S, slow) + 0.002 for cue in cues)


@given(TEXTS)
def test_words_are_found_in_order_and_hold_something_to_say(text: str) -> None:
    words = find_words(text)
    for one, other in pairwise(words):
        assert one.start < one.end <= other.start < other.end
    for word in words:
        assert text[word.start : word.end].split() == [text[word.start : word.end]]
    said = "".join(text[word.start : word.end] for word in words)
    assert [c for c in text if c.isalnum()] == [c for c in said if c.isalnum()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't stop — e.g. now!", ["Don't", "stop", "e.g", "now"]),
        ("«Ça va?» & 50%…ok", ["Ça", "va", "&", "50%", "ok"]),
        ("你好world，世界", ["你", "好", "world", "世", "界"]),
        ("きょうは", ["きょ", "う", "は"]),
        ("สวัสดีครับ", ["สวัสดีครับ"]),
        (" ... — !", []),
    ],
)
def test_words_of_several_scripts(text: str, words: list[str]) -> None:
    assert [text[word.start : word.end] for word in find_words(text)] == words
