"""The samples of PyAV's audio frames, whatever format the decoder chose."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import numpy.typing as npt

from mynah.audio.waveform import Samples


def frame_samples(frame: av.AudioFrame) -> Samples:
    """A decoded frame as float32, shape ``(channels, frames)``; NaN and infinities become 0."""
    raw: npt.NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        raw = raw.reshape(-1, frame.layout.nb_channels).T
    if raw.dtype == np.uint8:
        samples = (raw.astype(np.float32) - 128.0) / np.float32(128.0)
    elif np.issubdtype(raw.dtype, np.integer):
        full_scale = 2.0 ** (8 * raw.dtype.itemsize - 1)
        samples = (raw / full_scale).astype(np.float32)
    else:
        with np.errstate(over="ignore"):  # doubles beyond float32 become infinite, then 0
            samples = raw.astype(np.float32)
        if not np.isfinite(samples).all():
            samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return samples
