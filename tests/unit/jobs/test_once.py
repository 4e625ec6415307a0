"""What a process makes once."""

from __future__ import annotations

import threading
import time

import pytest

from mynah.jobs.once import OncePerProcess


def test_threads_that_ask_at_the_same_time_get_the_same() -> None:
    made: list[object] = []

    def make() -> object:
        time.sleep(0.02)  # long enough for all to have asked
        made.append(object())
        return made[-1]

    once, got = OncePerProcess(make), []
    threads = [threading.Thread(target=lambda: got.append(once())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(made) == 1
    assert got == made * 8


def test_what_could_not_be_made_is_tried_again() -> None:
    tries = iter([ValueError("not yet"), "made"])

    def make() -> str:
        outcome = next(tries)
        if isinstance(outcome, ValueError):
            raise outcome
        return outcome

    once = OncePerProcess(make)
    with pytest.raises(ValueError, match="not yet"):
        once()
    assert once() == "made"
