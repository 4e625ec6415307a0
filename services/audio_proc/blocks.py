"""Filters over long audio in bounded memory: block by block, with margins around each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mynah.audio.waveform import Samples

_BLOCK_S = 20.0


def filter_in_blocks(
    samples: Samples, sample_rate: int, margin_s: float, process: Callable[[Samples], Samples]
) -> Samples:
    """``process`` on blocks of one or all channels, shape ``(…, frames)``.

    It sees ``margin_s`` more on both sides, of which the result is dropped.
    """
    block, margin = round(_BLOCK_S * sample_rate), round(margin_s * sample_rate)
    frames = samples.shape[-1]
    result = np.empty_like(samples)
    for start in range(0, frames, block):
        first, end = max(0, start - margin), min(frames, start + block)
        done = process(samples[..., first : end + margin])
        result[..., start:end] = done[..., start - first : end - first]
    return result
