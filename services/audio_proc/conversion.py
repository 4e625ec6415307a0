"""Audio from one format to another, at the rate and with the channels that are asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mynah.audio.encode import EncodedAudio, encode_file
from mynah.audio.finished import check_output
from mynah.audio.formats import OutputSpec
from mynah.audio.waveform import Waveform
from mynah.contracts.audio import FileOptions

_BLOCK_S = 10
_CHECKED_PEAK = 10 ** (-40 / 20)  # quieter files may be as good as silent after encoding


def convert_audio(waveform: Waveform, options: FileOptions) -> EncodedAudio:
    """A finished, checked file of a waveform with any rate and channels; close it when stored.

    Files have two channels at most. Raises UnsupportedFormat, and OutputRejected when what was
    encoded does not decode to the same length.
    """
    audio = encode_file(_Blocks(waveform), OutputSpec.of_options(options))
    if float(np.abs(waveform.samples).max(initial=0.0)) > _CHECKED_PEAK:
        try:
            check_output(audio.file, audio.layout, audio.duration_s)
        except BaseException:
            audio.file.close()
            raise
    return audio


class _Blocks:
    """A waveform in blocks, from its start each time it is gone through."""

    def __init__(self, waveform: Waveform) -> None:
        self._waveform = waveform

    def __iter__(self) -> Iterator[Waveform]:
        waveform = self._waveform
        size = _BLOCK_S * waveform.sample_rate
        for start in range(0, waveform.frames, size):
            yield Waveform(waveform.samples[..., start : start + size], waveform.sample_rate)
