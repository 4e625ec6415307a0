"""What is taken out of a text before anything else sees it."""

import pytest

from mynah.errors import InvalidRequest
from mynah.text.cleaning import clean_text


def test_cleaning_keeps_the_words_and_drops_what_cannot_be_spoken() -> None:
    assert clean_text(" a\r\nb\x07c\u2028d ") == "a\nbc\nd"
    assert clean_text("cafe\u0301") == "café"
    assert clean_text("👩\u200d👧") == "👩\u200d👧"


@pytest.mark.parametrize("text", ["", "  \n ", "...", "a\x00b", "a\ud800b"])
def test_a_text_without_anything_to_speak_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        clean_text(text)
