"""FLAC with 16 bits, in memory: the form in which spoken segments are kept."""

from __future__ import annotations

import io

import numpy as np
import soundfile

from mynah.audio.waveform import Waveform
from mynah.errors import InvalidAudio


def encode_flac(waveform: Waveform) -> bytes:
    """A complete FLAC file. Lossless for samples that came from 16 bits."""
    output = io.BytesIO()
    soundfile.write(
        output, waveform.to_int16().T, waveform.sample_rate, format="FLAC", subtype="PCM_16"
    )
    return output.getvalue()


def decode_flac(data: bytes) -> Waveform:
    """A FLAC file of 16 bits as a waveform. Raises InvalidAudio when it does not decode."""
    try:
        samples, sample_rate = soundfile.read(io.BytesIO(data), dtype="int16")
    except soundfile.LibsndfileError as error:
        raise InvalidAudio("The FLAC data does not decode.", code="corrupt_audio") from error
    return Waveform.from_int16(np.ascontiguousarray(samples.T), int(sample_rate))
