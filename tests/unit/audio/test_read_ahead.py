from __future__ import annotations

import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from mynah.audio.read_ahead import read_ahead

WHO: ContextVar[str] = ContextVar("WHO", default="nobody")


def test_items_come_in_order_and_none_is_one_of_them() -> None:
    assert list(read_ahead([3, None, 1, 2], 2)) == [3, None, 1, 2]
    assert list(read_ahead([], 1)) == []


def test_an_error_comes_where_its_item_would_have() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("two")

    ahead = read_ahead(items(), 4)
    assert next(ahead) == 1
    with pytest.raises(KeyError, match="two"):
        next(ahead)


def test_no_more_than_the_depth_is_made_ahead() -> None:
    made: list[int] = []
    enough = threading.Semaphore(0)

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            enough.release()
            yield number

    ahead = read_ahead(items(), 2)
    assert next(ahead) == 0
    for _ in range(3):
        assert enough.acquire(timeout=10)
    ahead.close()  # type: ignore[attr-defined]
    assert len(made) <= 4  # one taken, two waiting, one in the maker's hands


def test_breaking_off_ends_the_making() -> None:
    ended = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            ended.set()

    for item in read_ahead(items(), 2):
        if item == 5:
            break
    assert ended.wait(10)


def test_the_thread_sees_the_callers_context() -> None:
    WHO.set("caller")
    assert list(read_ahead((WHO.get() for _ in range(1)), 1)) == ["caller"]
