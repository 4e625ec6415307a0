"""Audio from one format to another, at the rate and with the channels that are asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mynah.audio.encode import EncodedAudio, check_output, encode_file
from mynah.audio.mp3 import DEFAULT_BITRATE_KBPS
from mynah.audio.resample import resample
from mynah.audio.waveform import Waveform
from mynah.contracts.audio import FileOptions

_BLOCK_S = 10
_CHECKED_PEAK = 10 ** (-40 / 20)  # quieter files may be as good as silent after encoding


def convert_audio(waveform: Waveform, options: FileOptions) -> EncodedAudio:
    """A finished, checked file of a waveform with any rate and channels.

    Files have two channels at most. Raises UnsupportedFormat, and OutputRejected when what was
    encoded does not decode to the same length.
    """
    shaped = _shaped(waveform, options)
    bitrate_kbps = options.bitrate_kbps or DEFAULT_BITRATE_KBPS * shaped.channels
    audio = encode_file(_blocks(shaped), options.output_format.value, bitrate_kbps)
    if float(np.abs(shaped.samples).max(initial=0.0)) > _CHECKED_PEAK:
        check_output(audio.data, audio.format, audio.duration_s)
    return audio


def _shaped(waveform: Waveform, options: FileOptions) -> Waveform:
    channels = options.channels or (waveform.channels if waveform.channels <= 2 else 1)
    if channels != waveform.channels:
        waveform = waveform.to_mono()
    if options.sample_rate is not None:
        waveform = resample(waveform, options.sample_rate)
    if channels != waveform.channels:
        return Waveform(np.stack([waveform.samples] * channels), waveform.sample_rate)
    return waveform


def _blocks(waveform: Waveform) -> Iterator[Waveform]:
    size = _BLOCK_S * waveform.sample_rate
    for start in range(0, waveform.frames, size):
        yield Waveform(waveform.samples[..., start : start + size], waveform.sample_rate)
