"""When text that comes in increments is spoken, and where it is cut."""

from __future__ import annotations

import pytest

from mynah.errors import Conflict
from services.api.compat.input_text import InputText

SENTENCE = "The fox ran over the hill to the old river. "


def text_of(schedule: tuple[int, ...] = (50,), longest: int = 200, most: int = 1000) -> InputText:
    return InputText("en", schedule, longest, most)


def test_a_schedule_counts_the_utterances() -> None:
    text = text_of((50, 120))
    text.add(SENTENCE)
    assert text.take(is_quiet=False) == ""
    text.add("Then")
    assert text.take(is_quiet=False) == "", "48 characters"
    text.add(" it ")
    assert text.take(is_quiet=False) == SENTENCE.rstrip()
    text.add(SENTENCE)
    assert text.take(is_quiet=False) == "", "the second takes 120"
    text.add(SENTENCE * 2)
    assert text.take(is_quiet=False).count("river") == 2, "the last may go on"


def test_who_asks_gets_what_is_enough_before_its_turn() -> None:
    text = text_of((500,))
    text.add("Short, but ")
    text.ask()
    assert text.take(is_quiet=False) == ""
    text.add("asked for is this sentence. And more")
    assert text.take(is_quiet=False) == ""
    text.add(" of it.")
    assert text.take(is_quiet=False) == "Short, but asked for is this sentence."
    text.add(SENTENCE * 2)
    assert text.take(is_quiet=False) == "", "asked once, spoken once"


def test_without_a_sentence_a_clause_is_spoken_and_in_silence_words() -> None:
    text = text_of()
    text.add("once there was a fox, and the fox went over all the hi")
    assert text.take(is_quiet=False) == "once there was a fox,"
    text.add("lls that were there and then went further and fur")
    assert text.take(is_quiet=False) == ""
    assert text.take(is_quiet=True).endswith("further and ")


def test_what_is_due_is_spoken_whole_and_in_parts_where_it_is_long() -> None:
    text = text_of(())
    text.add(SENTENCE * 10)
    assert text.take(is_quiet=True) == "", "without a schedule only what is due"
    text.flush()
    parts = []
    while text.has_due:
        parts.append(text.take(is_quiet=False))
    assert "".join(parts) == SENTENCE * 10
    assert all(part.rstrip().endswith("river.") and len(part) <= 200 for part in parts)


def test_a_word_without_end_is_cut() -> None:
    text = text_of(longest=100)
    text.add("a" * 900)
    text.flush()
    assert len(text.take(is_quiet=False)) == 100


def test_what_waits_has_a_bound() -> None:
    text = text_of(most=100)
    text.add("a" * 100)
    with pytest.raises(Conflict):
        text.add("a")
