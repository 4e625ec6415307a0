"""G.711: telephone speech, 8 bits per sample, by µ-law and A-law.

Source: ITU-T G.711 (11/1988), tables 1a–2b. The linear values are those of 16 bits: the
recommendation's 14-bit (µ-law) and 13-bit (A-law) values shifted to the top. A sample becomes
the code whose interval it lies in, as the decision values of the tables say; decoding gives the
interval's quantised value. A sample on a decision value goes as in the ITU's own software
(G.191, ``ulaw_compress`` and ``alaw_compress``): negative magnitudes are ones' complements.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

Law = Literal["ulaw", "alaw"]

_ULAW_BIAS = 33 << 2  # makes every segment of µ-law begin at a power of two
_ULAW_CLIP = (8158 << 2) + 3  # up to the largest decision value; beyond it the last code
_ALAW_TOGGLE = 0x55  # every other bit is inverted on the line


def encode_g711(pcm: npt.NDArray[np.int16], law: Law) -> bytes:
    """16-bit samples of one channel as G.711 codes."""
    return _encoding_table(law)[pcm.view(np.uint16)].tobytes()


def decode_g711(data: bytes, law: Law) -> npt.NDArray[np.int16]:
    """G.711 codes as 16-bit samples."""
    samples: npt.NDArray[np.int16] = _decoded_values(law)[np.frombuffer(data, np.uint8)]
    return samples


@lru_cache(maxsize=2)
def _encoding_table(law: Law) -> npt.NDArray[np.uint8]:
    """The code for each 16-bit sample, by its bits."""
    samples = np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.int32)
    return _encode_ulaw(samples) if law == "ulaw" else _encode_alaw(samples)


def _encode_ulaw(samples: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    """Sign, segment 0–7, place 0–15 in it; all bits inverted on the line."""
    is_negative = samples < 0
    biased = np.minimum(np.where(is_negative, ~samples, samples), _ULAW_CLIP) + _ULAW_BIAS
    segment = np.floor(np.log2(biased)).astype(np.int32) - 7
    place = biased >> (segment + 3) & 0x0F
    code = is_negative.astype(np.int32) << 7 | segment << 4 | place
    return np.asarray(~code & 0xFF, np.uint8)


def _encode_alaw(samples: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
    """Sign, segment 0–7, place 0–15 in it; every other bit inverted."""
    is_negative = samples < 0
    magnitude = np.where(is_negative, ~samples, samples) >> 4
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 3, 0)
    place = magnitude >> np.maximum(segment - 1, 0) & 0x0F
    code = (~is_negative).astype(np.int32) << 7 | segment << 4 | place
    return np.asarray(code ^ _ALAW_TOGGLE, np.uint8)


@lru_cache(maxsize=2)
def _decoded_values(law: Law) -> npt.NDArray[np.int16]:
    """The quantised value of each code."""
    codes = np.arange(256)
    bits = ~codes & 0xFF if law == "ulaw" else codes ^ _ALAW_TOGGLE
    segment, place = bits >> 4 & 7, bits & 0x0F
    if law == "ulaw":
        magnitude = (((place << 3) + _ULAW_BIAS) << segment) - _ULAW_BIAS
        is_negative = bits & 0x80 != 0
    else:
        step = (place << 4) + 8
        magnitude = np.where(segment == 0, step, (step + 256) << np.maximum(segment - 1, 0))
        is_negative = bits & 0x80 == 0
    return np.where(is_negative, -magnitude, magnitude).astype(np.int16)
