"""Waveform: PCM samples and their rate, the form in which audio moves inside Mynah."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Waveform:
    """Audio in memory.

    ``samples``: float32 in [-1, 1], shape ``(frames,)`` for mono or
    ``(channels, frames)``. ``sample_rate`` in Hz.
    """

    samples: Samples
    sample_rate: int

    def __post_init__(self) -> None:
        if self.samples.dtype != np.float32:
            raise TypeError(f"samples must be float32, not {self.samples.dtype}")
        if self.samples.ndim not in (1, 2):
            raise ValueError(f"samples must have 1 or 2 dimensions, not {self.samples.ndim}")
        if self.sample_rate <= 0:
            raise ValueError("sample_rate must be positive")

    @property
    def frames(self) -> int:
        """Number of samples per channel."""
        return int(self.samples.shape[-1])

    @property
    def channels(self) -> int:
        """Number of channels."""
        return 1 if self.samples.ndim == 1 else int(self.samples.shape[0])

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate

    def part(self, start: int, longest_s: float) -> Waveform:
        """So much of it, or what there is, from the frame ``start`` on; at least a frame."""
        end = start + max(1, round(self.sample_rate * longest_s))
        return Waveform(self.samples[..., start:end], self.sample_rate)

    def to_mono(self) -> Waveform:
        """The mean of all channels, shape ``(frames,)``."""
        if self.samples.ndim == 1:
            return self
        return Waveform(self.samples.mean(axis=0, dtype=np.float32), self.sample_rate)

    def to_int16(self) -> npt.NDArray[np.int16]:
        """Samples as int16, clipped; same shape. The exact inverse of ``from_int16``."""
        scaled = np.rint(self.samples * np.float32(32768.0))
        pcm: npt.NDArray[np.int16] = np.clip(scaled, -32768.0, 32767.0).astype(np.int16)
        return pcm

    def to_pcm16(self) -> bytes:
        """Samples as little-endian int16, channels interleaved: the form files and wires take."""
        return self.to_int16().T.astype("<i2", order="C", copy=False).tobytes()

    @staticmethod
    def from_int16(samples: npt.NDArray[np.int16], sample_rate: int) -> Waveform:
        """A waveform from int16 samples of shape ``(frames,)`` or ``(channels, frames)``."""
        return Waveform(samples.astype(np.float32) / np.float32(32768.0), sample_rate)
