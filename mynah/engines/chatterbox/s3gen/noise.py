"""Noise by absolute place: the same seed gives a frame the same noise in every chunk.

Counter-based (Philox), so that any range can be made without what comes before it, and on the
CPU, so that every device speaks alike.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

# What the noise is for: streams of one seed that have nothing to do with each other.
PROMPT, SPEECH, EXCITATION, PHASE = range(4)

_BLOCK: Final = 16  # rows that are drawn together
_MASK: Final = 2**64 - 1

Noise = npt.NDArray[np.float32]


def normal_rows(seed: int, stream: int, first: int, count: int, width: int) -> Noise:
    """Standard normal noise of the rows ``first`` to ``first + count``, shape ``(count, width)``.

    A row depends on ``seed``, ``stream``, ``width`` and its own number only.
    """
    start, end = first // _BLOCK, -(-(first + count) // _BLOCK)
    blocks = [
        _generator(seed, stream, block).standard_normal((_BLOCK, width), np.float32)
        for block in range(start, end)
    ]
    if not blocks:
        return np.zeros((0, width), np.float32)
    offset = first - start * _BLOCK
    rows: Noise = np.concatenate(blocks)[offset : offset + count]
    return rows


def uniform_row(seed: int, stream: int, width: int) -> Noise:
    """Uniform noise in [-1, 1), shape ``(width,)``."""
    return _generator(seed, stream, 0).uniform(-1.0, 1.0, width).astype(np.float32)


def _generator(seed: int, stream: int, block: int) -> np.random.Generator:
    # As arrays: a list that holds more than 63 bits would become float64.
    key = np.array([seed & _MASK, stream], np.uint64)
    counter = np.array([0, 0, 0, block], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
