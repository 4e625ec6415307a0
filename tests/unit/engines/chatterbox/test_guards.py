"""Speech ends although the model does not end it."""

from __future__ import annotations

import random

from mynah.engines.chatterbox.t3.guards import (
    MAX_SPEECH_TOKENS,
    RepetitionGuard,
    limit_tokens,
)


def caught_after(tokens: list[int]) -> int | None:
    guard = RepetitionGuard()
    return next((i for i, token in enumerate(tokens, 1) if guard.add(token)), None)


def test_one_token_over_and_over_is_caught_after_three_seconds() -> None:
    assert caught_after([7, 8, *[4299] * 200]) == 2 + 1 + 75


def test_a_repeated_phrase_is_caught() -> None:
    phrase = random.Random(1).sample(range(6561), 40)
    assert caught_after(phrase * 10) == 40 + 3 * 40


def test_a_pause_of_two_seconds_is_not_caught() -> None:
    assert caught_after([1, 2, 3, *[4299] * 50, 4, 5, 6]) is None


def test_ordinary_speech_is_not_caught() -> None:
    rng = random.Random(2)
    assert caught_after([rng.randrange(300) for _ in range(2000)]) is None


def test_a_longer_text_may_be_spoken_longer_up_to_forty_seconds() -> None:
    assert 25 < limit_tokens(1) < 100
    assert limit_tokens(10) < limit_tokens(40) < MAX_SPEECH_TOKENS
    assert limit_tokens(5000) == MAX_SPEECH_TOKENS
