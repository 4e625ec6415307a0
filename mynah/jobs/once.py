"""What a process makes once, on first use, whatever its pool: forked children, or threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Made = TypeVar("Made")


class OncePerProcess(Generic[Made]):
    """Calls ``make`` at the first call and gives all callers the same; threads wait for the first.

    A forked child makes its own: connections and threads do not survive a fork.
    """

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def __call__(self) -> Made:
        """What was made. Raises what making it raises; the next call tries again."""
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._made: list[Made] = []
