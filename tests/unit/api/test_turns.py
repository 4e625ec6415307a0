"""One listener at a time, the most hurried first."""

from __future__ import annotations

import threading

import pytest

from services.api.live.turns import Turns
from tests.parts import wait_for


def test_the_most_hurried_of_those_who_wait_is_next() -> None:
    turns, served = Turns(), []

    def serve(dry_at: float) -> None:
        with turns.turn(dry_at):
            served.append(dry_at)

    waiting = [threading.Thread(target=serve, args=(dry_at,)) for dry_at in (5.0, 0.0, 9.0, 2.0)]
    with turns.turn(7.0):
        for number, thread in enumerate(waiting, start=1):
            thread.start()
            wait_for(lambda number=number: len(turns._waiting) == number, 10, "no turn")
        assert served == []
    for thread in waiting:
        thread.join()
    assert served == [0.0, 2.0, 5.0, 9.0]


def test_only_one_has_a_turn_however_many_want_one() -> None:
    turns, busy, most = Turns(), [], []

    def work() -> None:
        for _ in range(200):
            with turns.turn(0.0):
                busy.append(1)
                most.append(len(busy))
                busy.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(most), max(most)) == (1600, 1)


def test_a_turn_ends_with_a_fault() -> None:
    turns = Turns()
    with pytest.raises(ZeroDivisionError), turns.turn(0.0):
        raise ZeroDivisionError
    with turns.turn(0.0):
        pass
