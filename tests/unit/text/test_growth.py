"""How much longer than a text what is read for it may be, and what of that is counted."""

from __future__ import annotations

import pytest

from mynah.errors import TextTooLong
from mynah.text.pronunciation import PronunciationRule
from tests.unit.text.plans import plan

LONG_RULE = PronunciationRule("alias", "a", "and so on " * 19 + "again")
LONG_SOUND = PronunciationRule("phoneme", "a", "ə" * 200)


@pytest.mark.parametrize("rule", [LONG_RULE, LONG_SOUND])
@pytest.mark.parametrize("written", ["a ", "A. "])
def test_a_text_that_rules_make_much_longer_is_refused(
    written: str, rule: PronunciationRule
) -> None:
    added = len(rule.spoken) - 1
    short = plan(written * 20, rules=(rule,), max_added_characters=20 * added)
    assert sum(piece.added_characters for piece in short) == 20 * added
    with pytest.raises(TextTooLong) as refused:
        plan(written * 20, rules=(rule,), max_added_characters=20 * added - 1)
    assert (refused.value.code, refused.value.status) == ("text_too_long", 422)


def test_what_is_added_is_what_markup_and_rules_have_read_beyond_what_is_written() -> None:
    rules = (
        PronunciationRule("alias", "Dr Who", "he"),
        PronunciationRule("alias", "NASA", "Nassau"),
        PronunciationRule("phoneme", "tomato", "təˈmɑːtəʊ"),
    )
    (piece,) = plan("Dr Who at NASA eats 12 tomato.", rules=rules)
    assert piece.added_characters == len("Nassau") - 4 + len("təˈmɑːtəʊ") - 6
    (piece,) = plan('<speak><sub alias="twelve">12</sub> and 12.</speak>', "ssml")
    assert piece.added_characters == len("twelve") - 2


@pytest.mark.parametrize("language", ["en-us", "de"])
@pytest.mark.parametrize(
    "written", ["777 ", "$7.77 ", "777777777 ", "7% ", "7 km² ", "17.07.1777 "]
)
def test_a_table_of_numbers_is_not_too_long_to_be_read(written: str, language: str) -> None:
    assert plan(written * 1500, language=language)
