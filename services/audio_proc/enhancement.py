"""Make a recording of speech cleaner: rumble, clicks and noise out, loudness even.

The noise is learned from the pauses that the VAD finds; where there are none it is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfiltfilt

from mynah.audio.loudness import limit_peaks, normalize_loudness
from mynah.audio.speech_activity import Mask, find_speech
from mynah.audio.waveform import Samples, Waveform
from mynah.contracts.audio import EnhanceOptions
from services.audio_proc.analysis import hop_powers, steady_pauses
from services.audio_proc.blocks import filter_in_blocks
from services.audio_proc.click_repair import repair_clicks
from services.audio_proc.noise_reduction import reduce_noise

_HIGHPASS_ORDER = 2  # twice, forwards and backwards: 24 dB per octave, no shift in time
_HIGHPASS_MARGIN_S = 0.5


@dataclass(frozen=True, slots=True)
class Enhanced:
    """The cleaner recording and what was done; ``is_noise_reduced`` False: nothing to learn."""

    waveform: Waveform
    clicks_repaired: int
    is_noise_reduced: bool


def enhance(waveform: Waveform, options: EnhanceOptions) -> Enhanced:
    """Clean a recording of any rate and channel count; the channels stay as they are.

    The peaks of the result lie below -1 dBTP.
    """
    channels = np.atleast_2d(waveform.samples).copy()
    clicks = 0
    for index, channel in enumerate(channels):
        if options.highpass_hz:
            channels[index] = _highpass(channel, waveform.sample_rate, options.highpass_hz)
        if options.declick:
            channels[index], found = repair_clicks(channels[index], waveform.sample_rate)
            clicks += found
    is_reduced = False
    if options.denoise_db:
        is_noise = _steady_noise(Waveform(channels, waveform.sample_rate).to_mono())
        for index, channel in enumerate(channels):
            quiet = reduce_noise(channel, waveform.sample_rate, is_noise, options.denoise_db)
            if quiet is not None:
                channels[index], is_reduced = quiet, True
    clean = Waveform(channels.reshape(waveform.samples.shape), waveform.sample_rate)
    if options.loudness_lufs is None:
        return Enhanced(limit_peaks(clean), clicks, is_reduced)
    return Enhanced(normalize_loudness(clean, options.loudness_lufs), clicks, is_reduced)


def _highpass(channel: Samples, sample_rate: int, highpass_hz: float) -> Samples:
    cut = min(highpass_hz, 0.4 * sample_rate)
    sections = butter(_HIGHPASS_ORDER, cut, "high", fs=sample_rate, output="sos")

    def process(block: Samples) -> Samples:
        padding = min(len(block) - 1, 3 * sample_rate // 10)
        filtered: Samples = sosfiltfilt(sections, block, padlen=padding).astype(np.float32)
        return filtered

    return filter_in_blocks(channel, sample_rate, _HIGHPASS_MARGIN_S, process)


def _steady_noise(mono: Waveform) -> Mask:
    return steady_pauses(hop_powers(mono), find_speech(mono))
