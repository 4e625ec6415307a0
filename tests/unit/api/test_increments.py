"""How a text that comes in increments is given on."""

from __future__ import annotations

import pytest

from mynah.errors import InvalidRequest
from services.api.live.sockets.increments import Increments

SENTENCE = "The quick brown fox jumps over the lazy dog. "


def test_whole_sentences_are_given_on_and_the_rest_is_kept() -> None:
    increments = Increments("en", 1000)
    assert increments.add("One is done. Two is do") == ["One is done."]
    assert increments.add("ne.") == []
    assert increments.take_all() == " Two is done."
    assert increments.take_all() == ""


def test_many_sentences_at_once_are_utterances_that_are_short_enough() -> None:
    increments, text = Increments("en", 200), SENTENCE * 30
    utterances = increments.add(text)
    assert "".join(utterances) + increments.take_all() == text
    assert len(utterances) > 1
    assert all(len(one) <= 200 and one.endswith(".") for one in utterances)


def test_a_sentence_that_is_too_long_is_refused() -> None:
    increments = Increments("en", 200)
    with pytest.raises(InvalidRequest) as refused:
        increments.add("word " * 41)
    assert refused.value.code == "text_too_long"
