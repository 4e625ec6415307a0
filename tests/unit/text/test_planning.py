"""From a text to pieces: nothing lost, nothing invented, every word traced to its source."""

from __future__ import annotations

import re
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mynah.contracts.speech import Markup, Pacing
from mynah.errors import InvalidRequest, NotFound
from mynah.text.cutting import PieceSizes
from mynah.text.planning import (
    PlannedPiece,
    PlanOptions,
    VoiceContext,
    plan_script,
    plan_speech,
)
from mynah.text.pronunciation import PronunciationRule
from tests.unit.text.plans import plan, texts

SMALL = PieceSizes(20, 40, 20)
FRAGMENTS = st.lists(
    st.sampled_from(
        [
            "Dr. ",
            "$3.50",
            "1,234",
            "March 3rd, 2024",
            "😀",
            " ",
            " ",
            "word ",
            ". ",
            "5 km",
            "\n\n",
            "Henry VIII ",
            "www.x.com ",
            "漢字。",
            "17:05",
            "&",
            "\n",
            "é",
            '"Go!" ',
            ", ",
            "# ",
            "123456789012345 ",
            "Chapter 1",
            "—",
            "مرحبا، ",
        ]
    ),
    max_size=60,
).map("".join)
RULES = (
    PronunciationRule("alias", "word", "several other words"),
    PronunciationRule("phoneme", "km", "kə"),
    PronunciationRule("alias", "Henry VIII", "Harry"),
)


def assert_sound(source: str, pieces: list[PlannedPiece], limit: int) -> None:
    """What holds for every plan."""
    assert pieces[-1].pause_after_ms == 0
    for piece, following in pairwise(pieces):
        assert piece.source_start <= following.source_start
        assert piece.source_end <= following.source_end
    for piece in pieces:
        assert 0 < len(piece.text) <= limit
        assert piece.text == " ".join(piece.text.split())
        assert 0 <= piece.source_start < piece.source_end <= len(source)
        position = 0
        for word in piece.words:
            assert position <= word.start < word.end <= len(piece.text)
            assert piece.source_start <= word.source_start < word.source_end <= piece.source_end
            position = word.end
        for phoneme in piece.phonemes:
            assert 0 <= phoneme.start < phoneme.end <= len(piece.text)


@settings(deadline=None)
@given(FRAGMENTS, st.integers(60, 200), st.sampled_from(["en-us", "de", "cmn"]))
def test_a_plan_loses_and_invents_nothing(source: str, limit: int, language: str) -> None:
    source = f"Begin {source}"
    pieces = plan(source, language=language, limit=limit, sizes=SMALL, rules=RULES)
    assert_sound(source, pieces, limit)
    covered = [False] * len(source)
    for piece in pieces:
        covered[piece.source_start : piece.source_end] = [True] * (
            piece.source_end - piece.source_start
        )
    lost = "".join(character for character, kept in zip(source, covered, strict=True) if not kept)
    assert not any(character.isalnum() for character in lost)


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "word ",
                "Yes. ",
                "[pause 1s]",
                "[slow]",
                "[/slow]",
                "[voice A]",
                "[/voice]",
                "[x]",
                "\\[",
                "]",
                "[",
                "$5 ",
                "\n\n",
                "[break]",
                "[emphasis]",
                "[/emphasis]",
                ".",
            ]
        ),
        max_size=30,
    ).map("".join)
)
def test_bracket_plans_are_sound_or_refused(source: str) -> None:
    try:
        pieces = plan(f"Begin {source}", "brackets", unknown_tags="speak")
    except InvalidRequest as error:
        assert error.code == "invalid_markup"
    else:
        assert_sound(f"Begin {source}", pieces, 600)


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "word ",
                "Yes. ",
                "<p>",
                "</p>",
                "<s>",
                "</s>",
                '<break time="1s"/>',
                "&amp;",
                "&#65;",
                '<prosody rate="slow">',
                "</prosody>",
                '<sub alias="other words">',
                "</sub>",
                "<x>",
                "<![CDATA[<]]>",
                "<!-- no -->",
                "&",
                "<",
                '<say-as interpret-as="digits">',
                "12 ",
                "</say-as>",
                "</x>",
                "\n",
            ]
        ),
        max_size=30,
    ).map("".join),
    st.sampled_from(["error", "speak"]),
)
def test_ssml_plans_are_sound_or_refused(source: str, unknown_tags: str) -> None:
    source = f"Begin {source}"
    try:
        pieces = plan(source, "ssml", unknown_tags=unknown_tags)
    except InvalidRequest as error:
        assert error.code == "invalid_markup"
        assert 0 <= int(error.fields["offset"][0]) <= len(source)
    else:
        assert_sound(source, pieces, 600)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]) | st.just("\n"), max_size=300))
def test_any_plain_text_is_planned_or_has_nothing_to_speak(source: str) -> None:
    try:
        pieces = plan(source, sizes=SMALL)
    except InvalidRequest as error:
        assert error.code == "nothing_to_speak"
    else:
        assert_sound(source, pieces, 600)


def test_every_spoken_word_points_to_what_was_written() -> None:
    source = "Dr. Smith paid $3.50 (5) on 3/4/2024."
    (piece,) = plan(source)
    assert piece.text == (
        "Doctor Smith paid three dollars and fifty cents (five) on March fourth, twenty "
        "twenty-four."
    )
    spoken = [
        (piece.text[word.start : word.end], source[word.source_start : word.source_end])
        for word in piece.words
    ]
    assert spoken == [
        ("Doctor", "Dr."),
        ("Smith", "Smith"),
        ("paid", "paid"),
        *((word, "$3.50") for word in ("three", "dollars", "and", "fifty", "cents")),
        ("(five)", "(5)"),
        ("on", "on"),
        *((word, "3/4/2024.") for word in ("March", "fourth,", "twenty", "twenty-four.")),
    ]


def test_ideographs_are_words_of_their_own() -> None:
    (piece,) = plan("你好，世界。", language="cmn")
    assert [piece.text[word.start : word.end] for word in piece.words] == [
        "你",
        "好，",
        "世",
        "界。",
    ]


def test_pauses_follow_what_ends_and_the_pacing() -> None:
    source = (
        "The Tale\n\nOnce upon a time there was a fox. "
        "It lived near a wood, and it was very old and wise.\n\n"
        "Then came the long winter of that year, and snow fell on all the hills around."
    )
    normal = [piece.pause_after_ms for piece in plan(source, sizes=SMALL)]
    assert normal == [1200, 350, 150, 700, 150, 0]
    bedtime = [piece.pause_after_ms for piece in plan(source, sizes=SMALL, pacing=Pacing.BEDTIME)]
    assert all(long > short for long, short in zip(bedtime[:-1], normal[:-1], strict=True))
    doubled = [piece.pause_after_ms for piece in plan(source, sizes=SMALL, pause_scale=2.0)]
    assert doubled == [2 * pause for pause in normal]
    assert not any(piece.pause_after_ms for piece in plan(source, pause_scale=0.0))


def test_explicit_pauses_take_the_place_of_the_texts_and_are_not_scaled() -> None:
    pieces = plan(
        "One.[pause 1.5s] Two [break] [pause 300ms]three. 😀[pause 2s]Four.",
        "brackets",
        pause_scale=3.0,
    )
    assert texts(pieces) == ["One.", "Two", "three.", "Four."]
    assert [piece.pause_after_ms for piece in pieces] == [1500, 700, 2000, 0]


def test_pauses_are_bounded_together() -> None:
    assert plan("a [pause 60s][pause 60s] b", "brackets")[0].pause_after_ms == 60_000
    with pytest.raises(InvalidRequest, match="60 minutes") as caught:
        plan("a [pause 60s]" * 61, "brackets")
    assert caught.value.code == "invalid_markup"


def test_headings_are_chapters_once() -> None:
    pieces = plan(
        "# A heading that is long enough, so that it has to be cut in two of them\n\nText.",
        limit=60,
    )
    assert [bool(piece.chapter) for piece in pieces] == [True, False, False]
    assert pieces[0].chapter == (
        "A heading that is long enough, so that it has to be cut in two of them"
    )


def test_a_piece_that_grows_too_long_in_words_is_cut_again() -> None:
    source = "He owned 123456789012345 coins, 987654321098765 stones and 555555555555555 shells."
    pieces = plan(source, limit=100)
    assert len(pieces) > 3
    assert_sound(source, pieces, 100)
    assert " ".join(texts(pieces)) == plan(source, limit=1000)[0].text


def test_overlong_speech_keeps_its_phonemes_and_last_pause() -> None:
    rule = PronunciationRule("alias", "x", "a long alias " * 9 + "end")
    phoneme = PronunciationRule("phoneme", "tomato", "təˈmɑːtəʊ")
    pieces = plan("x x tomato x.\n\nNext.", limit=150, rules=(rule, phoneme))
    spans = [
        (piece.text[span.start : span.end], span.ipa) for piece in pieces for span in piece.phonemes
    ]
    assert spans == [("tomato", "təˈmɑːtəʊ")]
    assert [piece.pause_after_ms for piece in pieces][-2:] == [700, 0]


@pytest.mark.parametrize("source", ["😀 👍🏽 🇩🇪", "...", "\n\n", "", "* * *", "—", "(!)"])
def test_a_text_without_words_has_nothing_to_speak(source: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        plan(source)
    assert caught.value.code == "nothing_to_speak"
    assert "text" in caught.value.fields


def test_voices_of_tags_bring_their_language_and_limit() -> None:
    contexts = {None: VoiceContext("en-us", 600), "Emmy": VoiceContext("de", 60)}
    source = (
        "It is 5. [voice Emmy]Es ist 5 Uhr und 21 Minuten, und das ist sehr spät am Tag.[/voice] "
        "Good."
    )
    pieces = plan_speech(source, PlanOptions(contexts.__getitem__, markup=Markup.BRACKETS))
    assert [(piece.voice, piece.language) for piece in pieces] == [
        (None, "en-us"),
        ("Emmy", "de"),
        ("Emmy", "de"),
        (None, "en-us"),
    ]
    assert pieces[1].text.startswith("Es ist fünf Uhr und einundzwanzig")
    assert all(len(piece.text) <= 60 for piece in pieces[1:3])


def test_an_unknown_voice_is_the_callers_error() -> None:
    def refuse(name: str | None) -> VoiceContext:
        if name:
            raise NotFound(f"There is no voice {name!r}.", code="voice_not_found")
        return VoiceContext("en-us", 600)

    with pytest.raises(NotFound):
        plan_speech("[voice Nobody]Hi[/voice]", PlanOptions(refuse, markup=Markup.BRACKETS))


def test_a_script_has_a_voice_per_line_and_offsets_into_the_whole() -> None:
    lines = [("Ann", "Hello there. It is 5."), ("Bob", "Really? [pause 1s] Yes."), ("Ann", "Bye.")]
    asked = []

    def context(name: str | None) -> VoiceContext:
        asked.append(name)
        return VoiceContext("en-us", 600)

    pieces = plan_script(lines, PlanOptions(context, markup=Markup.BRACKETS))
    source = "\n".join(text for _, text in lines)
    assert [(piece.voice, source[piece.source_start : piece.source_end]) for piece in pieces] == [
        ("Ann", "Hello there. It is 5."),
        ("Bob", "Really?"),
        ("Bob", "Yes."),
        ("Ann", "Bye."),
    ]
    assert [piece.pause_after_ms for piece in pieces] == [700, 1000, 700, 0]
    assert asked == ["Ann", "Bob"]


def test_markup_of_a_script_ends_with_its_line() -> None:
    options = PlanOptions(lambda _: VoiceContext("en-us", 600), markup=Markup.BRACKETS)
    with pytest.raises(InvalidRequest) as caught:
        plan_script([("A", "one"), ("B", "[slow]two"), ("A", "three[/slow]")], options)
    assert caught.value.fields["line"] == ["2"]


def test_rules_go_before_normalisation_and_tags_before_rules() -> None:
    rules = (
        PronunciationRule("alias", "Dr.", "Driver"),
        PronunciationRule("alias", "5", "a handful"),
        PronunciationRule("alias", "W3C", "wrong"),
    )
    source = 'Dr. Lee has 5 of 55. <sub alias="World Wide Web 3">W3C</sub>'
    assert texts(plan(source, "ssml", rules=rules)) == [
        "Driver Lee has a handful of fifty-five. World Wide Web three"
    ]


@pytest.mark.parametrize(
    "part",
    [
        "a ",
        "1 ",
        ". ",
        "😀 a ",
        "Dr. ",
        "[pause 1ms] a ",
        "[slow]a[/slow] ",
        "$5 ",
        "漢",
        "\n\na",
        "a\n",
        "[",
        "[a] ",
        "\\[a ",
    ],
)
def test_hostile_texts_are_planned_in_time_in_proportion(part: str) -> None:
    source = "x " + part * (40_000 // len(part))
    started = time.process_time()
    plan(source, "brackets", unknown_tags="speak")
    assert time.process_time() - started < 20


def test_the_same_text_gives_the_same_plan() -> None:
    source = re.sub(r"\s+", " ", "The fox, 5 years old, ran. " * 30)
    assert plan(source) == plan(source)
