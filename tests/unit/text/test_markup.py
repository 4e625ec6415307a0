"""Markup: brackets and SSML, what they do and what is refused, with its position."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from mynah.errors import InvalidRequest
from tests.unit.text.plans import plan, texts


def refused(source: str, markup: str, unknown_tags: str = "error") -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        plan(source, markup, unknown_tags=unknown_tags)
    assert caught.value.code == "invalid_markup"
    assert caught.value.status == 422
    return caught.value


def test_bracket_styles_nest_and_end() -> None:
    pieces = plan(
        "a [slow]b [loud]c[/loud] d[/slow] e [fast]f[/fast] [lang de]g[/lang].", "brackets"
    )
    assert [(piece.text, piece.rate, piece.volume, piece.language) for piece in pieces] == [
        ("a", 1.0, 1.0, "en-us"),
        ("b", 0.75, 1.0, "en-us"),
        ("c", 0.75, 1.5, "en-us"),
        ("d", 0.75, 1.0, "en-us"),
        ("e", 1.0, 1.0, "en-us"),
        ("f", 1.25, 1.0, "en-us"),
        ("g.", 1.0, 1.0, "de"),
    ]


@pytest.mark.parametrize(
    ("source", "pause_ms"),
    [
        ("a [pause 1.5s] b", 1500),
        ("a[pause 500ms]b", 500),
        ("a [PAUSE: 2s] b", 2000),
        ("a [pause=0.1s] b", 100),
        ("a [break] b", 400),
        ("a [pause] b", 400),
        ("a [pause 0s] b", 0),
    ],
)
def test_bracket_pauses_are_as_long_as_they_say(source: str, pause_ms: int) -> None:
    first, second = plan(source, "brackets")
    assert (first.text, second.text, first.pause_after_ms) == ("a", "b", pause_ms)


def test_a_voice_may_be_named_in_quotes_and_of_several_words() -> None:
    pieces = plan('[voice "Old Tom"]Hi.[/voice][voice Ann Lee]Ho.[/voice]', "brackets")
    assert [piece.voice for piece in pieces] == ["Old Tom", "Ann Lee"]


def test_a_bracket_that_never_ends_costs_no_time() -> None:
    source = "See [a" + " \t" * 20_000 + "b"
    started = time.perf_counter()
    assert texts(plan(source, "brackets", unknown_tags="speak")) == ["See [a", "b"]
    assert time.perf_counter() - started < 2.0  # of minutes that it took


def test_brackets_that_are_no_tags_are_text() -> None:
    assert texts(plan("See [1], [ 2 ] and \\[pause 1s].", "brackets")) == [
        "See [one], [ two ] and [pause one second]."
    ]
    (piece,) = plan("See [this] and [/that].", "brackets", unknown_tags="speak")
    assert piece.text == "See [this] and [/that]."
    (piece,) = plan("See [pause 1s] and <b>.", "plain")
    assert piece.text.startswith("See [pause one second]")


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("one\ntwo [laughs] three", ("2", "5", "8")),
        ("[slow]never closed", ("1", "1", "0")),
        ("a [slow]b[/fast]", ("1", "10", "9")),
        ("a[/slow]", ("1", "2", "1")),
        ("[pause 61s]a", ("1", "1", "0")),
        ("[pause 1 year]a", ("1", "1", "0")),
        ("[pause -1s]a", ("1", "1", "0")),
        ("[pause 99999999999s]a", ("1", "1", "0")),
        ("[/pause]a", ("1", "1", "0")),
        ("[voice]a[/voice]", ("1", "1", "0")),
        ("[voice ]a[/voice]", ("1", "1", "0")),
        ("[lang 12]a[/lang]", ("1", "1", "0")),
        ("[slow 3]a[/slow]", ("1", "1", "0")),
        ("[voice Tom is not closed", ("1", "1", "0")),
        ("[slow]" * 40 + "a", ("1", "25", "24")),  # too slow before too deep
        ("[voice A]" * 40 + "a", ("1", "289", "288")),
    ],
)
def test_bad_brackets_are_refused_with_their_place(source: str, place: tuple[str, ...]) -> None:
    error = refused(source, "brackets")
    assert tuple(error.fields[name][0] for name in ("line", "column", "offset")) == place
    assert f"line {place[0]}, column {place[1]}" in error.message


def test_ssml_sets_prosody() -> None:
    source = (
        '<speak xml:lang="en-GB"><prosody rate="slow" pitch="+2st" volume="+6dB">a</prosody>'
        '<prosody rate="120%" pitch="-50%" volume="50">b</prosody>'
        '<emphasis level="strong">c</emphasis><voice name="Tom">d</voice>'
        '<lang xml:lang="de">e</lang></speak>'
    )
    pieces = plan(source, "ssml")
    assert [(piece.rate, piece.pitch_semitones, piece.volume) for piece in pieces] == [
        (0.75, 2.0, 1.9953),
        (1.2, -12.0, 0.5),
        (0.85, 0.0, 1.3),
        (1.0, 0.0, 1.0),
        (1.0, 0.0, 1.0),
    ]
    assert [piece.language for piece in pieces] == ["en-GB", "en-GB", "en-GB", "en-GB", "de"]
    assert pieces[3].voice == "Tom"


def test_ssml_says_as_told() -> None:
    source = (
        '<say-as interpret-as="characters">ab1</say-as> <say-as interpret-as="digits">12</say-as> '
        '<sub alias="World Wide Web">WWW</sub> <phoneme alphabet="ipa" ph="təˈmeɪtoʊ">tomato'
        '</phoneme> <say-as interpret-as="date" format="dmy">3/4/2024</say-as>'
    )
    (piece,) = plan(source, "ssml")
    assert piece.text == ("A B one one two World Wide Web tomato April third, twenty twenty-four")
    (phoneme,) = piece.phonemes
    assert (piece.text[phoneme.start : phoneme.end], phoneme.ipa) == ("tomato", "təˈmeɪtoʊ")
    sources = [source[word.source_start : word.source_end] for word in piece.words]
    assert sources[5:9] == ["WWW", "WWW", "WWW", "tomato"]


def test_ssml_breaks_sentences_and_paragraphs_pause() -> None:
    source = (
        '<speak><p>One two three</p><p><s>four</s><s>five</s></p>six<break strength="strong"/>'
        'seven<break time="250ms"/>eight<break/>nine<break strength="none"/>ten</speak>'
    )
    pieces = plan(source, "ssml")
    assert texts(pieces) == [
        "One two three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
    ]
    assert [piece.pause_after_ms for piece in pieces][1:] == [350, 700, 700, 250, 400, 0, 0]


def test_entities_and_cdata_are_decoded_and_keep_their_place() -> None:
    source = "<speak>Tom &amp; <!-- no --> Ann &#x41;&#66; <![CDATA[a < b]]></speak>"
    (piece,) = plan(source, "ssml")
    assert piece.text == "Tom and Ann AB a less than b"
    spoken = {
        piece.text[word.start : word.end]: source[word.source_start : word.source_end]
        for word in piece.words
    }
    assert spoken["and"] == "&amp;"
    assert spoken["AB"] == "&#x41;&#66;"


def test_marks_behind_a_tag_stay_with_its_words() -> None:
    pieces = plan("I am <emphasis>sure</emphasis>! Yes.", "ssml")
    assert texts(pieces) == ["I am", "sure!", "Yes."]
    assert [piece.pause_after_ms for piece in pieces] == [0, 350, 0]


@pytest.mark.parametrize(
    ("source", "offset"),
    [
        ("<speak>hi", 0),
        ("<speak><foo>x</foo></speak>", 7),
        ("a <p>b</s></p>", 6),
        ("a</p>", 1),
        ("a & b", 2),
        ("a < b", 2),
        ("a &nbsp; b", 2),
        ("a &#0; b", 2),
        ("a &#x110000; b", 2),
        ('<!DOCTYPE x [<!ENTITY a "b">]><speak>&a;</speak>', 0),
        ("<?php x ?>a", 0),
        ("a <!-- b", 6),
        ('<prosody rate="0">x</prosody>', 0),
        ('<prosody rate="1e9">x</prosody>', 0),
        ('<prosody rate="1000000000">x</prosody>', 0),
        ('<prosody rate="500%">x</prosody>', 0),
        ('<prosody pitch="+25st">x</prosody>', 0),
        ('<prosody pitch="200Hz">x</prosody>', 0),
        ('<prosody pitch="-100%">x</prosody>', 0),
        ('<prosody volume="+99dB">x</prosody>', 0),
        ('<prosody volume="-200%">x</prosody>', 0),
        ('<prosody rate="slow"><prosody rate="x-slow"><prosody rate="slow">x', 44),
        ('<break time="1 year"/>x', 0),
        ('<break time="61s"/>x', 0),
        ('<break strength="huge"/>x', 0),
        ("<break>x</break>", 8),
        ('<emphasis level="huge">x</emphasis>', 0),
        ('<say-as interpret-as="poem">x</say-as>', 0),
        ("<say-as>x</say-as>", 0),
        ("<sub>x</sub>", 0),
        ('<sub alias="a"><s>x</s></sub>', 15),
        ('<phoneme alphabet="x-sampa" ph="a">x</phoneme>', 0),
        ('<phoneme ph="">x</phoneme>', 0),
        ("<voice>x</voice>", 0),
        ('<lang xml:lang="">x</lang>', 0),
        ('<p a="1" a="2">x</p>', 0),
        ("<p a=1>x</p>", 0),
        ("<p><speak>x</speak></p>", 3),
        ("<speak>a</speak><speak>b</speak>", 16),
        ("<sub alias='b'>" + "a " * 101 + "</sub>", 217),
        ("<p>" * 10_000, 96),
    ],
)
def test_bad_ssml_is_refused_with_its_place(source: str, offset: int) -> None:
    assert refused(source, "ssml").fields["offset"] == [str(offset)]


def test_unknown_ssml_may_be_spoken() -> None:
    source = "<speak>a & b <foo x='1'>c</foo> 3 < 5 &nbsp; <bar/></speak>"
    (piece,) = plan(source, "ssml", unknown_tags="speak")
    assert piece.text == "a and b c three less than five and nbsp;"


@pytest.mark.parametrize("source", ["<foo>a", "<p>a</foo></p>", "<!DOCTYPE a>b", "<p>" * 40])
def test_broken_ssml_is_refused_even_when_unknown_tags_are_spoken(source: str) -> None:
    refused(source, "ssml", unknown_tags="speak")


@pytest.mark.parametrize(
    "part",
    [
        "<p>",
        "<",
        "&",
        "<a ",
        '<a b="',
        "<p>a</p>",
        "&amp;",
        "<!--",
        "<![CDATA[",
        "</p>",
        "<break/>",
        "<p ",
        "'",
        '"',
        "&#",
        "<voice name='a'>",
        "[slow]",
        "[",
        "[voice ",
        "\\[",
        "]",
    ],
)
@pytest.mark.parametrize("unknown_tags", ["error", "speak"])
@pytest.mark.parametrize("markup", ["brackets", "ssml"])
def test_hostile_markup_is_answered_quickly(part: str, unknown_tags: str, markup: str) -> None:
    source = "x " + part * (20_000 // len(part))
    started = time.process_time()
    with suppress(InvalidRequest):
        plan(source, markup, unknown_tags=unknown_tags)
    assert time.process_time() - started < 20
