"""Changing the number of channels so that the loudness stays the same."""

from __future__ import annotations

import math

import numpy as np

from mynah.audio.waveform import Waveform


def remix(waveform: Waveform, channels: int) -> Waveform:
    """``waveform`` with one or two channels, as loud by BS.1770 as before.

    The standard adds the channels' powers: a voice on two channels reads 3 LU higher than on
    one, so it is 3 dB lower on each. The same object when the number is right already.
    """
    if waveform.channels == channels:
        return waveform
    mono = waveform.to_mono().samples
    scale = np.float32(math.sqrt(waveform.channels / channels))
    samples = mono * scale
    if channels > 1:
        samples = np.repeat(samples[None], channels, axis=0)
    return Waveform(samples, waveform.sample_rate)
