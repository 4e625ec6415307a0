"""The keys and values of all rows that are being decoded, packed without gaps.

Row ``r`` of layer ``l`` lies at ``keys[l][r]``, shape (heads, positions, head width). Rows are
always 0 … n-1, so that a step works on views; a row that leaves is replaced by the last one.
"""

from __future__ import annotations

from typing import Any, Final

import torch

from mynah.engines.chatterbox.t3.config import T3Config

POSITION_STEP: Final = 64  # attended lengths and the cache itself are multiples of this


def round_up(positions: int) -> int:
    """To a multiple of ``POSITION_STEP``: few different shapes for kernels and graphs."""
    return -(-positions // POSITION_STEP) * POSITION_STEP


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

    def reserve(self, rows: int, positions: int) -> None:
        """Make room for that many rows of that many positions each, keeping what is there."""
        has_rows, has_positions = self.capacity
        if rows <= has_rows and positions <= has_positions:
            return
        rows = max(rows, has_rows)
        positions = max(round_up(positions), has_positions)
        for name in ("keys", "values"):
            old = getattr(self, name)
            new = self._allocate(rows, positions)
            new[:, : self.rows, :, :has_positions] = old[:, : self.rows]
            setattr(self, name, new)

    def add_row(self) -> int:
        """The number of a new row; its room must be reserved."""
        self.rows += 1
        return self.rows - 1

    def drop_row(self, row: int, last_length: int) -> int | None:
        """Forget a row; the last one, of that length, takes its place.

        Returns the number under which the moved row was known, None if none moved.
        """
        self.rows -= 1
        last = self.rows
        if row == last:
            return None
        self.keys[:, row, :, :last_length] = self.keys[:, last, :, :last_length]
        self.values[:, row, :, :last_length] = self.values[:, last, :, :last_length]
        return last

    def release(self) -> None:
        """Free the memory. Only without rows."""
        if self.rows:
            raise RuntimeError("rows are still being decoded")
        self.keys, self.values = self._allocate(0, 0), self._allocate(0, 0)

    def _allocate(self, rows: int, positions: int) -> Any:
        shape = (self._config.layers, rows, self._config.heads, positions, self._config.head_width)
        # Zeros: what no row has written yet is multiplied by zero, which needs finite numbers.
        return torch.zeros(shape, dtype=self._dtype, device=self._device)
