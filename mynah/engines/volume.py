"""Loud speech kept within full scale."""

from __future__ import annotations

import numpy as np

from mynah.audio.waveform import Samples


def bend_peaks(samples: Samples) -> Samples:
    """``samples`` bent below full scale above 0.8 rather than clipped."""
    excess = np.maximum(np.abs(samples) - np.float32(0.8), 0)
    bent = np.sign(samples) * (np.float32(0.8) + np.float32(0.2) * np.tanh(excess * 5))
    return np.where(excess > 0, bent, samples).astype(np.float32)
