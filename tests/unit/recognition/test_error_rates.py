"""Error rates leave out what nobody hears."""

from __future__ import annotations

import pytest

from mynah.recognition.error_rates import compare_texts


@pytest.mark.parametrize(
    ("reference", "heard", "words", "characters"),
    [
        ("The lamp is lit.", "the lamp, is LIT", 0.0, 0.0),
        ("Don't — stop!", "dont stop", 0.0, 0.0),
        ("one two three four", "one three four", 0.25, 3 / 15),
        ("one two", "one two and three", 1.0, 8 / 6),
        ("你好世界", "你好时间", 0.5, 0.5),
        ("cafe\u0301", "café", 0.0, 0.0),
        ("something", "", 1.0, 1.0),
        ("…", "", 0.0, 0.0),
        ("…", "hello", 1.0, 1.0),
    ],
)
def test_rates(reference: str, heard: str, words: float, characters: float) -> None:
    rates = compare_texts(reference, heard)
    assert (rates.words, rates.characters) == (pytest.approx(words), pytest.approx(characters))
