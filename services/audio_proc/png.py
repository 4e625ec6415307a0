"""PNG files from arrays of colour numbers: all that our pictures need, by zlib alone.

Source: the PNG specification, third edition (W3C 2025): colour type 3, eight bits, no filter.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_INDEXED, _BITS = 3, 8


def encode_png(pixels: Pixels, palette: Pixels) -> bytes:
    """A picture of shape ``(height, width)``, numbers of colours in ``palette``.

    ``palette``: red, green and blue of up to 256 colours, shape ``(colours, 3)``.
    """
    height, width = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, _BITS, _INDEXED, 0, 0, 0)
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = pixels
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"PLTE", palette.tobytes()),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
