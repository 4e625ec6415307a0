"""Arrays of audio from .npy files, ours and strangers'."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mynah.audio.npy import dump_npy, load_npy, to_waveform
from mynah.errors import InvalidAudio, InvalidRequest


def npy(array: npt.NDArray[Any], *, allow_pickle: bool = False) -> bytes:
    output = io.BytesIO()
    np.save(output, array, allow_pickle=allow_pickle)
    return output.getvalue()


def with_header(header: str, body: bytes = b"") -> bytes:
    encoded = header.encode("latin1").ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(encoded)) + encoded + body


def test_what_is_dumped_is_loaded() -> None:
    samples = np.linspace(-1, 1, 1000, dtype=np.float32)
    assert np.array_equal(load_npy(dump_npy(samples)), samples)


def test_objects_are_never_unpickled() -> None:
    data = npy(np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidRequest) as caught:
        load_npy(data)
    assert caught.value.code == "unsafe_voice_file"


@pytest.mark.parametrize("dtype", ["c16", "M8[s]", "S4", "U4", "f4,i4", "?"])
def test_only_plain_numbers_are_taken(dtype: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        load_npy(npy(np.zeros(4, dtype)))
    assert caught.value.code == "unsafe_voice_file"


@pytest.mark.parametrize(
    "data",
    [
        with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }"),
        with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -2), }", b"\0" * 16),
        with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", b"\0" * 12),
        with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", b"\0" * 4),
        with_header("{'descr': '<f4', 'fortran_order': False, 'shape': 2, }"),
        with_header("__import__('os').system('true')"),
        with_header("(" * 110),
        b"\x93NUMPY\x09\x00",
        b"\x93NUMPY",
        b"",
    ],
)
def test_a_header_that_does_not_fit_is_refused_before_anything_is_allocated(data: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        load_npy(data)
    assert caught.value.code == "damaged_voice_file"


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([0, 16384, -32768], np.int16), [0, 0.5, -1]),
        (np.array([128, 192, 0], np.uint8), [0, 0.5, -1]),
        (np.array([0, 2**30, -(2**31)], np.int32), [0, 0.5, -1]),
        (np.array([0, 0.5, -1], np.float64), [0, 0.5, -1]),
        (np.array([0, 0.5, -1], np.float16), [0, 0.5, -1]),
        (np.array([0, 2, -4], np.float32), [0, 0.5, -1]),
        (np.array([[0, 1, -1], [0, 0, -1]], np.float32), [0, 0.5, -1]),
        (np.array([[0, 0], [1, 0], [-1, -1], [0, 0]], np.float32), [0, 0.5, -1, 0]),
    ],
)
def test_audio_of_any_type_becomes_mono_floats(
    array: npt.NDArray[Any], expected: list[float]
) -> None:
    waveform = to_waveform(array, 16000)
    assert waveform.samples.tolist() == pytest.approx(expected)
    assert (waveform.samples.dtype, waveform.samples.ndim) == (np.float32, 1)


@pytest.mark.parametrize(
    ("array", "code"),
    [
        (np.zeros(100), "silent"),
        (np.zeros((0,)), "not_audio"),
        (np.ones((2, 3, 4)), "not_audio"),
        (np.ones((20, 30)), "not_audio"),
        (np.array(1.0), "not_audio"),
        (np.array([0.1, np.nan]), "not_audio"),
        (np.array([[np.inf, 1], [-np.inf, 1]]), "not_audio"),
    ],
)
def test_what_is_not_audio_is_refused(array: npt.NDArray[Any], code: str) -> None:
    with pytest.raises(InvalidAudio) as caught:
        to_waveform(array, 16000)
    assert caught.value.code == code
