"""Changing the sample rate with soxr, of a whole waveform or of a stream of blocks."""

from __future__ import annotations

import numpy as np
import soxr

from mynah.audio.waveform import Samples, Waveform


def resample(waveform: Waveform, sample_rate: int) -> Waveform:
    """``waveform`` at ``sample_rate`` Hz; the same object when it is there already."""
    if waveform.sample_rate == sample_rate:
        return waveform
    stream = StreamResampler(waveform.sample_rate, sample_rate, waveform.channels)
    head, tail = stream.process(waveform), stream.flush()
    return Waveform(np.concatenate([head.samples, tail.samples], axis=-1), sample_rate)


class StreamResampler:
    """Resamples blocks of one stream; the blocks' borders leave no trace in the result.

    One object per stream. ``process`` may hold back some milliseconds, ``flush`` gives them.
    """

    def __init__(self, source_rate: int, target_rate: int, channels: int = 1) -> None:
        self.source_rate = source_rate
        self.target_rate = target_rate
        self.channels = channels
        self._stream = soxr.ResampleStream(source_rate, target_rate, channels, dtype="float32")

    def process(self, block: Waveform) -> Waveform:
        """The part of the output that this block completes. ValueError for another layout."""
        if block.sample_rate != self.source_rate or block.channels != self.channels:
            raise ValueError(
                f"expected {self.channels} channel(s) at {self.source_rate} Hz, "
                f"got {block.channels} at {block.sample_rate} Hz"
            )
        return self._push(block.samples, is_last=False)

    def flush(self) -> Waveform:
        """The rest; the object is spent afterwards."""
        shape = (0,) if self.channels == 1 else (self.channels, 0)
        return self._push(np.zeros(shape, np.float32), is_last=True)

    def _push(self, samples: Samples, *, is_last: bool) -> Waveform:
        # soxr takes (frames,) for mono and (frames, channels) otherwise.
        interleaved = samples.reshape(-1) if self.channels == 1 else samples.T
        output = self._stream.resample_chunk(np.ascontiguousarray(interleaved), last=is_last)
        return Waveform(np.ascontiguousarray(output.T), self.target_rate)
