"""Audio as ``.npy`` files: a voice's reference audio, written by us or handed in by a stranger.

Reading trusts nothing: the header must describe plain numbers and exactly the bytes that are
there before an array is made; objects, which would need unpickling, are refused.
"""

from __future__ import annotations

import io
import math
import tokenize
from typing import Any

import numpy as np
import numpy.typing as npt

from mynah.audio.waveform import Samples, Waveform
from mynah.errors import InvalidAudio, InvalidRequest

MAGIC = b"\x93NUMPY"
MAX_CHANNELS = 8

_NUMBER_KINDS = "fiu"
# What numpy's parser of headers lets through.
_HEADER_ERRORS = (
    *(ValueError, TypeError, SyntaxError, RecursionError, MemoryError),
    tokenize.TokenError,
)
_SILENCE = 1e-4  # -80 dBFS


def dump_npy(samples: Samples) -> bytes:
    """Samples of shape ``(frames,)`` as the bytes of a file."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(samples), allow_pickle=False)
    return buffer.getvalue()


def load_npy(data: bytes) -> npt.NDArray[Any]:
    """The array of a file, without a copy. Raises InvalidRequest.

    Codes: ``unsafe_voice_file`` for anything but numbers, ``damaged_voice_file``.
    """
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, is_fortran, dtype = read_header(stream)
    except _HEADER_ERRORS as error:
        raise damaged("its header cannot be read") from error
    if dtype.hasobject or dtype.kind not in _NUMBER_KINDS or dtype.subdtype is not None:
        raise InvalidRequest(
            f"The file holds {dtype}, not plain numbers.", code="unsafe_voice_file"
        )
    count = math.prod(shape)
    if min(shape, default=0) < 0 or count * dtype.itemsize != len(data) - stream.tell():
        raise damaged("its size is not what its header says")
    flat = np.frombuffer(data, dtype, count, stream.tell())
    return flat.reshape(shape, order="F" if is_fortran else "C")


def to_waveform(array: npt.NDArray[Any], sample_rate: int) -> Waveform:
    """Audio as others store it, as a mono waveform.

    Takes integers (full scale is their type's) and floats, of shape ``(frames,)`` or with the
    channels, 8 at most, on the shorter side; what peaks above 1 is scaled down to it. Raises
    InvalidAudio for another shape, for silence and for what is not a number.
    """
    if array.ndim not in (1, 2) or min(array.shape, default=0) == 0:
        raise InvalidAudio(f"An array of shape {array.shape} is not audio.", code="not_audio")
    if array.ndim == 2:
        channels_first = array if array.shape[0] <= array.shape[1] else array.T
        if channels_first.shape[0] > MAX_CHANNELS:
            raise InvalidAudio(f"An array of shape {array.shape} is not audio.", code="not_audio")
        array = _mix(channels_first)
    samples = _scaled(array)
    peak = float(np.max(np.abs(samples)))
    if not math.isfinite(peak):
        raise InvalidAudio("The audio holds what is not a number.", code="not_audio")
    if peak < _SILENCE:
        raise InvalidAudio("The audio is silent.", code="silent")
    return Waveform(samples if peak <= 1 else samples / np.float32(peak), sample_rate)


def _mix(channels: npt.NDArray[Any]) -> Samples:
    stacked = np.stack([_scaled(channel) for channel in channels])
    with np.errstate(invalid="ignore"):  # infinities are found by the caller
        mean: Samples = stacked.mean(axis=0, dtype=np.float32)
    return mean


def _scaled(array: npt.NDArray[Any]) -> Samples:
    """Floats as they are, integers relative to their type's full scale; float32, contiguous."""
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(array, dtype=np.float32)
    limits = np.iinfo(array.dtype)
    middle = 0 if array.dtype.kind == "i" else (limits.max + 1) // 2
    full_scale = (int(limits.max) + 1) // (2 if array.dtype.kind == "u" else 1)
    scaled = (array.astype(np.float64) - middle) / full_scale
    return np.ascontiguousarray(scaled, dtype=np.float32)


def damaged(why: str) -> InvalidRequest:
    """The error for a voice file that is not what it says."""
    return InvalidRequest(f"The file is damaged: {why}.", code="damaged_voice_file")
