"""The MP3 format as data: legal rates and bitrates, frame headers, walking over frames.

Source: ISO/IEC 11172-3 (MPEG-1) and 13818-3 (MPEG-2) Layer III; MPEG-2.5 is the usual
extension of the latter to 8–12 kHz.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from mynah.errors import UnsupportedFormat

MPEG1_RATES = (32000, 44100, 48000)
MPEG2_RATES = (16000, 22050, 24000)
MPEG25_RATES = (8000, 11025, 12000)
MP3_RATES = (*MPEG25_RATES, *MPEG2_RATES, *MPEG1_RATES)

_MPEG1_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_KBPS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MPEG25_KBPS = _MPEG2_KBPS[:8]  # LAME and most decoders go no higher
MP3_BITRATES_KBPS = tuple(sorted({*_MPEG1_KBPS, *_MPEG2_KBPS}))

# Version bits of a frame header -> the rates by index.
_RATES_BY_VERSION = {
    0b11: (44100, 48000, 32000),
    0b10: (22050, 24000, 16000),
    0b00: (11025, 12000, 8000),
}
_MPEG1 = 0b11
_MONO = 0b11


def legal_bitrates_kbps(sample_rate: int) -> tuple[int, ...]:
    """The constant bitrates that an MP3 at this rate may have; empty for an illegal rate."""
    if sample_rate in MPEG1_RATES:
        return _MPEG1_KBPS
    if sample_rate in MPEG2_RATES:
        return _MPEG2_KBPS
    return _MPEG25_KBPS if sample_rate in MPEG25_RATES else ()


def choose_mp3_rate(sample_rate: int, bitrate_kbps: int | None = None) -> int:
    """The MP3 rate nearest to ``sample_rate`` at which ``bitrate_kbps`` is legal.

    Between two candidates the higher wins when it is less than an octave away, so that no
    bandwidth is lost (22000 -> 22050, 20000 -> 22050); 320 kbit/s of a 24 kHz voice is
    written at 32 kHz. ``None`` (variable bitrate) allows every rate. Raises UnsupportedFormat
    for a bitrate that no MP3 has.
    """
    if bitrate_kbps is not None and bitrate_kbps not in MP3_BITRATES_KBPS:
        allowed = ", ".join(map(str, MP3_BITRATES_KBPS))
        raise UnsupportedFormat(
            f"MP3 has no bitrate of {bitrate_kbps} kbit/s; it has {allowed}.",
            code="unsupported_bitrate",
        )
    candidates = [
        rate
        for rate in MP3_RATES
        if bitrate_kbps is None or bitrate_kbps in legal_bitrates_kbps(rate)
    ]
    return nearest_rate(sample_rate, candidates)


def nearest_rate(sample_rate: int, candidates: Sequence[int]) -> int:
    """The one of ``candidates``, in ascending order, at which audio of a rate is best kept.

    Between two the higher wins when it is less than an octave away.
    """
    if sample_rate in candidates:
        return sample_rate
    above = [rate for rate in candidates if rate > sample_rate]
    if above and above[0] < 2 * sample_rate:
        return above[0]
    return min(candidates, key=lambda rate: abs(math.log(rate / sample_rate)))


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """The four bytes before each MP3 frame, read."""

    version_bits: int
    bitrate_kbps: int
    sample_rate: int
    is_padded: bool
    is_mono: bool
    mode_bits: int  # the fourth byte: channel mode, extension, copyright, original, emphasis

    @property
    def samples_per_frame(self) -> int:
        """1152 in MPEG-1, 576 below."""
        return 1152 if self.version_bits == _MPEG1 else 576

    @property
    def size_bytes(self) -> int:
        """Length of the whole frame, header included."""
        bytes_per_slot = self.samples_per_frame // 8
        return bytes_per_slot * self.bitrate_kbps * 1000 // self.sample_rate + self.is_padded

    @property
    def side_info_bytes(self) -> int:
        """Length of the side information that follows the header."""
        if self.version_bits == _MPEG1:
            return 17 if self.is_mono else 32
        return 9 if self.is_mono else 17

    def to_bytes(self) -> bytes:
        """The header without CRC protection."""
        bitrates = _MPEG1_KBPS if self.version_bits == _MPEG1 else _MPEG2_KBPS
        rate_index = _RATES_BY_VERSION[self.version_bits].index(self.sample_rate)
        second = 0xE0 | self.version_bits << 3 | 0b01 << 1 | 1
        third = (bitrates.index(self.bitrate_kbps) + 1) << 4 | rate_index << 2 | self.is_padded << 1
        return bytes((0xFF, second, third, self.mode_bits))


def parse_frame_header(data: bytes, position: int) -> FrameHeader | None:
    """The Layer III header at ``position``; None when there is none."""
    return _parse_header(data[position : position + 4])


@lru_cache(maxsize=1024)
def _parse_header(header: bytes) -> FrameHeader | None:
    """The header in four bytes; a file has few different ones."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    _, second, third, fourth = header
    version_bits, layer_bits = second >> 3 & 0b11, second >> 1 & 0b11
    bitrate_index, rate_index = third >> 4, third >> 2 & 0b11
    if layer_bits != 0b01 or version_bits not in _RATES_BY_VERSION:
        return None
    if bitrate_index in (0, 15) or rate_index == 3:
        return None
    bitrates = _MPEG1_KBPS if version_bits == _MPEG1 else _MPEG2_KBPS
    return FrameHeader(
        version_bits=version_bits,
        bitrate_kbps=bitrates[bitrate_index - 1],
        sample_rate=_RATES_BY_VERSION[version_bits][rate_index],
        is_padded=bool(third & 0b10),
        is_mono=fourth >> 6 == _MONO,
        mode_bits=fourth,
    )


def iter_frames(data: bytes) -> Iterator[tuple[int, FrameHeader]]:
    """Position and header of each frame of a raw stream, as an encoder writes it.

    Raises ValueError where something other than a frame lies between two frames.
    """
    position = 0
    while position < len(data):
        header = parse_frame_header(data, position)
        if header is None:
            raise ValueError(f"no MP3 frame at byte {position}")
        yield position, header
        position += header.size_bytes
