"""What is written and what is read aloud."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mynah.text.normalising.english_words import parse_roman
from mynah.text.normalising.normalise import replace_written, speak_plain
from mynah.text.normalising.numbers import spell_cardinal
from mynah.text.normalising.say_as import speak_as
from mynah.text.normalising.spoken import Replacements, assemble

ENGLISH = [
    # numbers
    ("0", "zero"),
    ("1,234,567", "one million two hundred thirty-four thousand five hundred sixty-seven"),
    ("3.14", "three point one four"),
    ("-5 or −7", "minus five or minus seven"),
    ("room 007", "room zero zero seven"),
    ("1/2, 3/4 and 2½", "one half, three quarters and two and a half"),
    ("1 3/8 inches", "one and three eighths inches"),
    ("24/7", "twenty-four seven"),
    ("50%, 3.5 %", "fifty percent, three point five percent"),
    ("3–5 people", "three to five people"),
    ("pages 10-12", "pages ten to twelve"),
    ("1914–1918", "nineteen fourteen to nineteen eighteen"),
    ("version 1.2.3", "version one point two point three"),
    ("1st, 22nd and 103rd", "first, twenty-second and one hundred third"),
    ("MP3, 4K, B2B", "MP three, four K, B two B"),
    # years and decades
    (
        "in 1999, 1900, 1905, 2000, 2008 and 2024",
        "in nineteen ninety-nine, nineteen hundred, nineteen oh five, two thousand, "
        "two thousand eight and twenty twenty-four",
    ),
    ("the 1990s and the '80s", "the nineteen nineties and the eighties"),
    ("the 1900s", "the nineteen hundreds"),
    # dates
    ("2024-03-04", "March fourth, twenty twenty-four"),
    ("3/4/2024", "March fourth, twenty twenty-four"),
    ("25/4/2024", "April twenty-fifth, twenty twenty-four"),
    ("March 3rd, 2024", "March third, twenty twenty-four"),
    ("on Jan. 5", "on January fifth"),
    ("3 March 2024", "the third of March, twenty twenty-four"),
    ("the 5th of May", "the fifth of May"),
    # times
    ("5:30 pm", "five thirty p m"),
    ("17:05", "seventeen oh five"),
    ("5:00", "five o'clock"),
    ("at 9am. Then", "at nine a m. Then"),
    ("at 5 p.m. He left", "at five p m. He left"),
    ("at 5 p.m. sharp", "at five p m sharp"),
    # money
    ("$3.50", "three dollars and fifty cents"),
    ("$1", "one dollar"),
    ("€20 and 20 €", "twenty euros and twenty euros"),
    ("£1m", "one million pounds"),
    ("$2.5 billion", "two point five billion dollars"),
    ("$0.99, £0.01", "ninety-nine cents, one penny"),
    ("-$5", "minus five dollars"),
    ("US$1,000.00", "one thousand US dollars"),
    # units
    ("5 km, 1 m, 3kg", "five kilometers, one meter, three kilograms"),
    ("20 °C and -3°F", "twenty degrees Celsius and minus three degrees Fahrenheit"),
    ("60 mph, 100 km/h", "sixty miles per hour, one hundred kilometers per hour"),
    ("a 10-km run", "a ten kilometer run"),
    ("5 min 30 s", "five minutes thirty seconds"),
    # telephones
    ("555-1234", "five five five, one two three four"),
    ("(555) 123-4567", "five five five, one two three, four five six seven"),
    ("+44 20 7946 0958", "plus four four, two zero, seven nine four six, zero nine five eight"),
    # abbreviations
    ("Dr. Smith and Mr Jones", "Doctor Smith and Mister Jones"),
    ("St. Mary on Main St. today", "Saint Mary on Main Street today"),
    ("cats vs. dogs etc.", "cats versus dogs et cetera."),
    ("e.g. this, i.e. that", "for example this, that is that"),
    ("No. 5 and p. 7", "Number five and page seven"),
    ("approx. 30", "approximately thirty"),
    ("I said no. Then", "I said no. Then"),
    # Roman numerals
    ("Chapter IV", "Chapter four"),
    ("Henry VIII and Louis XIV", "Henry the eighth and Louis the fourteenth"),
    ("World War II", "World War two"),
    ("Part I, class C", "Part one, class C"),
    ("Charles I went", "Charles I went"),
    ("Elizabeth I, Queen", "Elizabeth the first, Queen"),
    # addresses and signs
    ("https://www.a-b.com/c?d=1", "www dot a dash b dot com slash c question mark d equals one"),
    ("See example.com.", "See example dot com."),
    ("joe.b@mail.org", "joe dot b at mail dot org"),
    ("AT&T & Co", "AT and T and Co"),
    ("1+1=2", "one plus one equals two"),
    ("#1 and #fun", "number one and hashtag fun"),
    ("**bold** and _thin_", "bold and thin"),
    ("# Title", "Title"),
    ("- item", "item"),
    # pictures
    ("Hi 😀 there 👨‍👩‍👧‍👦!", "Hi there!"),
    ("🇩🇪 flag ❤️ 3️⃣", "flag"),
]


@pytest.mark.parametrize(("written", "spoken"), ENGLISH)
def test_english_is_read_in_full(written: str, spoken: str) -> None:
    assert speak_plain(written, "en-us") == spoken


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("3/4/2024", "the third of April, twenty twenty-four"),
        ("205", "two hundred and five"),
        (
            "1,234,567",
            "one million two hundred and thirty-four thousand five hundred and sixty-seven",
        ),
        ("March 3", "March the third"),
    ],
)
def test_british_english_differs_where_britons_do(written: str, spoken: str) -> None:
    assert speak_plain(written, "en-GB") == spoken


@pytest.mark.parametrize(
    ("language", "written", "spoken"),
    [
        (
            "de",
            "1.200 Leute, 3,5 % & -5 Grad",
            "eintausendzweihundert Leute, drei Komma fünf Prozent und minus fünf Grad",
        ),
        ("de", "Am 1. Mai um 17:05 für 3,50 €", "Am 1. Mai um 17:05 für 3,50 €"),
        ("de", "Im Jahr 1999.", "Im Jahr neunzehnhundertneunundneunzig."),
        ("fr-fr", "21 chats", "vingt-et-un chats"),
        ("es-419", "50%", "cincuenta por ciento"),
        ("nb", "21", "tjueén"),
        ("pt-br", "16", "dezesseis"),
        ("pt", "16", "dezasseis"),
        ("cmn", "2024年有5只猫和3.5只狗。", "二〇二四年有五只猫和三点五只狗。"),
        ("ru", "5 котов", "пять котов"),
        ("hi", "५ बिल्लियाँ", "पाँच बिल्लियाँ"),
        ("gn", "5 mitã", "5 mitã"),  # no rules: left to the engine
        ("de", "Hallo 😀!", "Hallo!"),
    ],
)
def test_other_languages_get_a_sensible_default(language: str, written: str, spoken: str) -> None:
    assert speak_plain(written, language) == spoken


@pytest.mark.parametrize(
    ("text", "kind", "detail", "spoken"),
    [
        ("abc1", "characters", "", "A B C one"),
        ("2024", "digits", "", "two zero two four"),
        ("1999", "cardinal", "", "one thousand nine hundred ninety-nine"),
        ("3", "ordinal", "", "third"),
        ("3/4/2024", "date", "dmy", "April third, twenty twenty-four"),
        ("555 1234", "telephone", "", "five five five, one two three four"),
        ("17:05", "time", "", "seventeen oh five"),
        ("$5", "currency", "", "five dollars"),
        ("word", "ordinal", "", "word"),
    ],
)
def test_say_as_reads_what_it_is_told(text: str, kind: str, detail: str, spoken: str) -> None:
    assert speak_as(text, kind, detail, "en-us") == spoken


@settings(deadline=None)
@given(st.integers(1, 3999))
def test_roman_numerals_are_read_back(number: int) -> None:
    pairs = [(1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L")]
    pairs += [(40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]
    numeral, rest = "", number
    for value, sign in pairs:
        numeral += sign * (rest // value)
        rest %= value
    assert parse_roman(numeral) == number


@settings(deadline=None)
@given(st.integers(-(10**20), 10**20), st.sampled_from(["en-us", "en-gb", "de", "km", "zh", "sw"]))
def test_every_number_has_words(number: int, language: str) -> None:
    words = spell_cardinal(number, language)
    assert words
    assert not any(character.isdigit() for character in words)


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
            "word",
            ".",
            "5 km",
            "–",
            "-",
            "½",
            "Henry VIII",
            "www.x.com",
            "a@b.org",
            "#",
            "*",
            "漢字",
            "17:05",
            "&",
            "\n",
            "é",
            "3",
            "/",
            "1990s",
            "(",
            ")",
            '"',
            "No. ",
            "%",
            "+",
            "=",
            "_",
            "€",
            "°C",
            "II",
        ]
    ),
    max_size=40,
).map("".join)


@settings(deadline=None)
@given(FRAGMENTS | st.text(max_size=200), st.sampled_from(["en-us", "en-gb", "de", "zh", "gn"]))
def test_spoken_words_point_into_the_text_in_order(text: str, language: str) -> None:
    replacements = Replacements(text)
    replace_written(replacements, language)
    spoken = assemble(text, replacements.in_order())
    position, text_position = 0, 0
    for word in spoken.words:
        assert position <= word.start < word.end <= len(spoken.text)
        assert text_position <= word.text_start < word.text_end <= len(text)
        assert not spoken.text[word.start : word.end].isspace()
        position, text_position = word.end, word.text_start
    outside = "".join(
        spoken.text[end:start]
        for end, start in zip(
            [0, *(word.end for word in spoken.words)],
            [*(word.start for word in spoken.words), len(spoken.text)],
            strict=True,
        )
    )
    assert not any(character.isalnum() for character in outside)


@settings(deadline=None)
@given(st.text("abcdefg ,.!?", max_size=200))
def test_plain_words_are_left_as_they_are(text: str) -> None:
    words = [word for word in text.split() if word.strip(".,") not in {"c", "ca", "cf", "e.g"}]
    plain = " ".join(words)
    if "e.g" not in plain and "..." not in plain:
        assert speak_plain(plain, "gn") == plain


@pytest.mark.parametrize(
    "part",
    [
        "1",
        "1,",
        "a.",
        "$",
        "1/",
        "-",
        "1-",
        "a@",
        "1 ",
        "I",
        "Jan ",
        "😀",
        "1:",
        "+1 ",
        "_",
        "*",
        "#",
        "www.",
        "a@b.",
        "0 ",
        "½",
        "\u200d",
        "=",
        "Dr. ",
        "1.",
        "漢",
        "(5",
        "5 p.m",
        "%",
    ],
)
def test_hostile_pieces_are_read_quickly(part: str) -> None:
    text = part * (4000 // len(part))
    started = time.process_time()
    speak_plain(text, "en-us")
    assert time.process_time() - started < 5
