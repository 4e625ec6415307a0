"""The keys and values of all rows that are being decoded, packed without gaps.

Row ``r`` of layer ``l`` lies at ``keys[l][r]``, shape (heads, positions, head width). Rows are
always 0 … n-1, so that a step works on views; a row that leaves is replaced by the last one.
"""

from __future__ import annotations

import math
import mmap
from typing import Any

import torch

from mynah.engines.chatterbox.t3.config import T3Config
from mynah.engines.chatterbox.t3.needs import cache_bytes, round_up


def _allocated(rows: int, positions: int) -> tuple[int, int]:
    """Rows in powers of two, so that many that join one by one are not copied each time."""
    return 1 << (rows - 1).bit_length(), round_up(positions)


class KvCache:
    """Grows with the rows and positions that are asked for; never shrinks by itself."""

    def __init__(self, config: T3Config, dtype: Any, device: Any) -> None:
        self._config, self._dtype, self._device = config, dtype, device
        self.rows = 0
        self.keys = self._allocate(0, 0)
        self.values = self._allocate(0, 0)

    @property
    def capacity(self) -> tuple[int, int]:
        """(rows, positions) that fit without growing."""
        return self.keys.shape[1], self.keys.shape[3]

    def bytes_for(self, rows: int, positions: int) -> int:
        """The memory that it takes once there is room for that much."""
        has_rows, has_positions = self.capacity
        if rows > has_rows or positions > has_positions:
            has_rows, has_positions = _allocated(rows, positions)
        return cache_bytes(self._config, self._dtype.itemsize, has_rows, has_positions)

    def reserve(self, rows: int, positions: int, used: int) -> bool:
        """Make room for that many rows of that many positions each, keeping what is there.

        ``positions``: the most that any row needs, those that are there included; ``used``: the
        most that any row holds now. True when all of it has moved.
        """
        has_rows, has_positions = self.capacity
        if rows <= has_rows and positions <= has_positions:
            return False
        rows, positions = _allocated(rows, positions)
        for name in ("keys", "values"):
            old = getattr(self, name)
            new = self._allocate(rows, positions)
            new[:, : self.rows, :, :used] = old[:, : self.rows, :, :used]
            setattr(self, name, new)
        return True

    def add_row(self) -> int:
        """The number of a new row; its room must be reserved."""
        self.rows += 1
        return self.rows - 1

    def drop_row(self, row: int, last_length: int, *, wipe: bool) -> None:
        """Forget a row; the last one takes its place, of which ``last_length`` positions count.

        ``wipe``: it may hold numbers that are not finite, which would spread to whoever takes
        its place.
        """
        self.rows -= 1
        for tensor in (self.keys, self.values):
            if wipe:
                tensor[:, row] = 0
            if row != self.rows:
                tensor[:, row, :, :last_length] = tensor[:, self.rows, :, :last_length]

    def release(self) -> None:
        """Free the memory. Only without rows."""
        if self.rows:
            raise RuntimeError("rows are still being decoded")
        self.keys, self.values = self._allocate(0, 0), self._allocate(0, 0)

    def _allocate(self, rows: int, positions: int) -> Any:
        shape = (self._config.layers, rows, self._config.heads, positions, self._config.head_width)
        # Zeros: what no row has written yet is multiplied by zero, which needs finite numbers.
        if self._device.type != "cpu" or rows == 0:
            return torch.zeros(shape, dtype=self._dtype, device=self._device)
        # Fresh pages are zeros, and are taken as they are written: torch would write all at once.
        pages = mmap.mmap(-1, math.prod(shape) * self._dtype.itemsize)
        return torch.frombuffer(pages, dtype=self._dtype).view(shape)
