"""Make a recording of speech cleaner: rumble, clicks and noise out, loudness even.

The noise is learned from the pauses that the VAD finds; where there are none it is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfiltfilt

from mynah.audio.loudness import apply_gain
from mynah.audio.speech_activity import Mask, find_speech
from mynah.audio.waveform import Samples, Waveform
from mynah.contracts.audio import EnhanceOptions
from services.audio_proc.analysis import hop_powers, meter_loudness, steady_pauses
from services.audio_proc.blocks import filter_in_blocks
from services.audio_proc.click_repair import repair_clicks
from services.audio_proc.noise_reduction import reduce_noise

_HIGHPASS_ORDER = 2  # twice, forwards and backwards: 24 dB per octave, no shift in time
_HIGHPASS_MARGIN_S = 0.5
_GAIN_MARGIN_S = 0.05  # ten times the reach of the limiter
_MOST_GAIN_DB = 30.0  # more would only lift noise


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
    return Enhanced(_levelled(clean, options.loudness_lufs), clicks, is_reduced)


def _highpass(channel: Samples, sample_rate: int, highpass_hz: float) -> Samples:
    cut = min(highpass_hz, 0.4 * sample_rate)
    sections = butter(_HIGHPASS_ORDER, cut, "high", fs=sample_rate, output="sos")

    def process(block: Samples) -> Samples:
        padding = min(len(block) - 1, 3 * sample_rate // 10)
        filtered: Samples = sosfiltfilt(sections, block, padlen=padding).astype(np.float32)
        return filtered

    return filter_in_blocks(channel, sample_rate, _HIGHPASS_MARGIN_S, process)


def _levelled(waveform: Waveform, target_lufs: float | None) -> Waveform:
    """At the target loudness, or as it is for None; peaks kept below the ceiling either way."""
    loudness = None if target_lufs is None else meter_loudness(waveform).loudness_lufs()
    gain_db = 0.0
    if target_lufs is not None and loudness is not None:
        gain_db = min(target_lufs - loudness, _MOST_GAIN_DB)

    def process(block: Samples) -> Samples:
        return apply_gain(Waveform(block, waveform.sample_rate), gain_db).samples

    levelled = filter_in_blocks(waveform.samples, waveform.sample_rate, _GAIN_MARGIN_S, process)
    return Waveform(levelled, waveform.sample_rate)


def _steady_noise(mono: Waveform) -> Mask:
    return steady_pauses(hop_powers(mono), find_speech(mono))
