"""Filters over long audio in bounded memory: block by block, with margins around each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mynah.audio.waveform import Samples

_BLOCK_S = 20.0


def filter_in_blocks(
    channel: Samples, sample_rate: int, margin_s: float, process: Callable[[Samples], Samples]
) -> Samples:
    """``process`` on blocks of one channel; ``margin_s`` on both sides is seen and dropped."""
    block, margin = round(_BLOCK_S * sample_rate), round(margin_s * sample_rate)
    result = np.empty_like(channel)
    for start in range(0, len(channel), block):
        first, end = max(0, start - margin), min(len(channel), start + block)
        done = process(channel[first : end + margin])
        result[start:end] = done[start - first : end - first]
    return result
