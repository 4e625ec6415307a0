"""The samples of PyAV's audio frames, whatever format the decoder chose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from mynah.audio.waveform import Samples, Waveform

_BATCH_FRAMES = 65536
_DTYPES = {"u8": "u1", "s16": "<i2", "s32": "<i4", "s64": "<i8", "flt": "<f4", "dbl": "<f8"}


@dataclass(frozen=True, slots=True)
class DecodedBlock:
    """Decoded audio: float32 of shape ``(channels, frames)``, finite; may exceed 1."""

    samples: Samples
    sample_rate: int

    def to_waveform(self) -> Waveform:
        """The block with mono as one dimension."""
        is_mono = self.samples.shape[0] == 1
        return Waveform(self.samples[0] if is_mono else self.samples, self.sample_rate)


class FrameBatcher:
    """Gathers decoded frames into blocks of about 65,536 samples.

    A codec's frames hold some hundred samples; turning each into an array costs more than
    decoding it (measured: 430 against 1,110 times real time for an MP3).
    """

    def __init__(self) -> None:
        self._fifo = av.AudioFifo()
        self._layout: tuple[int, str, int] | None = None

    def add(self, frame: av.AudioFrame) -> DecodedBlock | None:
        """Take a frame; a block when one is full or the stream's layout changes here."""
        layout = (frame.sample_rate, frame.format.name, frame.layout.nb_channels)
        finished: DecodedBlock | None = None
        if layout != self._layout:
            finished = self.flush()
            self._fifo = av.AudioFifo()
            self._layout = layout
        frame.pts = None  # gaps in the time stamps are no concern here
        self._fifo.write(frame)
        if finished is None and self._fifo.samples >= _BATCH_FRAMES:
            finished = self.flush()
        return finished

    def flush(self) -> DecodedBlock | None:
        """What is gathered so far; None for nothing."""
        frame = self._fifo.read() if self._fifo.samples else None
        return DecodedBlock(_to_float(frame), frame.sample_rate) if frame is not None else None


def iter_blocks(frames: Iterable[av.AudioFrame]) -> Iterator[DecodedBlock]:
    """Decoded frames as blocks."""
    batcher = FrameBatcher()
    for frame in frames:
        if (block := batcher.add(frame)) is not None:
            yield block
    if (block := batcher.flush()) is not None:
        yield block


def _to_float(frame: av.AudioFrame) -> Samples:
    """The frame's samples; NaN and infinities become 0."""
    raw = _raw_samples(frame)
    if raw.dtype == np.uint8:
        return (raw.astype(np.float32) - np.float32(128.0)) / np.float32(128.0)
    if np.issubdtype(raw.dtype, np.integer):
        full_scale = 2.0 ** (8 * raw.dtype.itemsize - 1)
        return (raw / full_scale).astype(np.float32)
    with np.errstate(over="ignore"):  # doubles beyond float32 become infinite, then 0
        samples: Samples = raw.astype(np.float32)
    if np.isfinite(samples).all():
        return samples
    return np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)


def _raw_samples(frame: av.AudioFrame) -> npt.NDArray[Any]:
    """The frame's samples as the decoder left them, shape ``(channels, frames)``.

    Not ``frame.to_ndarray()``: with eight planar channels or more PyAV 18 counts planes that do
    not exist, and reading those kills the process. A damaged file can claim 26 channels.
    """
    channels, count = frame.layout.nb_channels, frame.samples
    dtype = _DTYPES[frame.format.packed.name]
    planes: Any = frame.planes  # buffers, which their types do not say
    if not frame.format.is_planar:
        packed: npt.NDArray[Any] = np.frombuffer(planes[0], dtype, count * channels)
        return packed.reshape(count, channels).T
    return np.stack([np.frombuffer(planes[index], dtype, count) for index in range(channels)])
