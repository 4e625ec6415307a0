"""Characters get times that cover the text, never run backwards and lie in their words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.text.alignment import align_characters
from mynah.text.subtitles import TimedWord


def test_a_words_characters_share_its_time() -> None:
    times = align_characters("ab cd.", [TimedWord(0.0, 1.0, 0, 2), TimedWord(1.5, 2.5, 3, 5)], 0, 3)
    assert times.characters == list("ab cd.")
    assert times.starts_s == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
    assert times.ends_s == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.5, 3.0])


def test_what_comes_before_the_first_word_gets_the_time_before_it() -> None:
    times = align_characters('"Hi', [TimedWord(0.4, 0.8, 1, 3)], 0.2, 1.0)
    assert times.starts_s == pytest.approx([0.2, 0.4, 0.6])


def test_a_number_read_in_several_words_is_one_word() -> None:
    words = [TimedWord(0.0, 0.5, 0, 3), TimedWord(0.5, 1.5, 0, 3)]
    assert align_characters("$25", words, 0, 2).ends_s == pytest.approx([0.5, 1.0, 1.5])


def test_without_words_the_text_shares_all_time() -> None:
    assert align_characters("abcd", [], 1.0, 3.0).ends_s == pytest.approx([1.5, 2.0, 2.5, 3.0])


@given(
    st.lists(
        st.tuples(st.floats(-1, 12), st.floats(-1, 12), st.integers(0, 19), st.integers(0, 6)),
        max_size=12,
    )
)
def test_whatever_the_words_are_times_cover_the_text_in_order(
    raw: list[tuple[float, float, int, int]],
) -> None:
    text = "x" * 20
    words = [TimedWord(s, e, first, min(first + more, 20)) for s, e, first, more in raw]
    times = align_characters(text, words, 0.5, 10.0)
    assert len(times.starts_s) == len(times.ends_s) == len(times.characters) == 20
    assert times.starts_s == sorted(times.starts_s)
    assert all(a <= b for a, b in zip(times.starts_s, times.ends_s, strict=True))
    assert times.starts_s[0] == 0.5
    assert times.ends_s[-1] <= 10.0 + 1e-9
