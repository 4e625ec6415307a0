"""Making the next items in a thread while the present one is used.

It pays where both sides spend their time in C code that leaves the interpreter to others:
reading, decoding, filtering, encoding.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterable, Iterator
from queue import Full, Queue
from typing import Generic, TypeVar

T = TypeVar("T")

_LOOK_S = 0.1


def read_ahead(items: Iterable[T], depth: int) -> Iterator[T]:
    """``items`` in order, up to ``depth`` of them made before they are asked for.

    Their making ends with the iteration, also one that is broken off; its errors are raised
    where the item would have come.
    """
    making = _Making(items, depth)
    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(making.run,), name="read-ahead", daemon=True
    )
    thread.start()
    try:
        yield from making.taken()
    finally:
        making.stop.set()
        thread.join()


class _Made(Generic[T]):
    """One item in a box, so that None and errors can be items too."""

    def __init__(self, item: T) -> None:
        self.item = item


class _Making(Generic[T]):
    """What the two threads share."""

    def __init__(self, items: Iterable[T], depth: int) -> None:
        self.stop = threading.Event()
        self._items = items
        self._queue: Queue[_Made[T] | BaseException | None] = Queue(maxsize=depth)

    def run(self) -> None:
        """Make items until they end or nobody wants them."""
        try:
            for item in self._items:
                if not self._put(_Made(item)):
                    return
        except BaseException as error:
            self._put(error)
        else:
            self._put(None)

    def taken(self) -> Iterator[T]:
        """The items as they are asked for."""
        while (made := self._queue.get()) is not None:
            if isinstance(made, BaseException):
                raise made
            yield made.item
            del made  # not kept while the next one is waited for

    def _put(self, made: _Made[T] | BaseException | None) -> bool:
        while not self.stop.is_set():
            try:
                self._queue.put(made, timeout=_LOOK_S)
            except Full:
                continue
            return True
        return False
