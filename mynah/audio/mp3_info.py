"""The Info frame of an MP3 file: how long it is, where to seek, what to trim.

An encoder emits bare frames. A file gets one silent frame in front that carries the tables of
Xing (frame count, byte count, seek table) and LAME (encoder delay, padding, checksums); with it
players show the right length, seek and play without gap.

Source: "Mp3 Info Tag rev 1 specifications" by Gabriel Bouvigne (gabriel.mp3-tech.org/mp3infotag)
and VbrTag.c of LAME 3.100 for what the specification leaves open.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mynah.audio.mp3_format import FrameHeader, legal_bitrates_kbps, parse_frame_header

ENCODER_DELAY_SAMPLES = 576  # what LAME puts in front of the signal
DECODER_DELAY_SAMPLES = 529  # what every decoder adds; the padding must cover it

_XING_BYTES = 4 + 4 + 4 + 4 + 100 + 4
_LAME_BYTES = 36
_HAS_ALL_FIELDS = 0x0F
_MAX_OFFSETS = 4096
_MIN_FRAMES = 4  # with fewer, ffmpeg may not recognise the file
_METHOD_CBR = 1
_METHOD_VBR_MTRH = 4
_UNKNOWN = 0  # fields no player needs are left unknown rather than guessed
_CRC_BLOCK = 1024
_CRC_SLICE = 256 * _CRC_BLOCK  # bounds the memory
_CRC_POLYNOMIAL = 0xA001  # CRC-16/ARC: 0x8005 reflected, initial value 0


@dataclass(frozen=True, slots=True)
class InfoTag:
    """What the Info frame says beyond what the frames themselves do.

    ``signal_samples``: samples per channel that went into the encoder.
    ``vbr_quality``: 0 (best) to 9, or None for a constant bitrate. ``encoder_quality``: LAME's
    speed setting, 0 (slowest) to 9.
    """

    signal_samples: int
    vbr_quality: int | None
    encoder_quality: int


class FrameIndex:
    """Where the frames of a stream begin, noted as they pass, in bounded memory.

    Of a long stream only every second, fourth … frame is kept: enough for a table of 100 places.
    """

    def __init__(self) -> None:
        self.first: FrameHeader | None = None
        self.count = 0
        self.size_bytes = 0
        self.last_offset = 0
        self._offsets: list[int] = []
        self._stride = 1
        self._rest = b""

    def add(self, data: bytes) -> None:
        """Take the next bytes of the stream. ValueError when they are no MP3 frames."""
        data = self._rest + data
        position = 0
        while position + 4 <= len(data):
            header = parse_frame_header(data, position)
            if header is None:
                raise ValueError(f"no MP3 frame at byte {self.size_bytes}")
            size = header.size_bytes
            if position + size > len(data):
                break
            self._note(header, size)
            position += size
        self._rest = data[position:]

    def finish(self) -> None:
        """The stream has ended. ValueError when it did so within a frame, or before the first."""
        if self._rest:
            raise ValueError(f"no whole MP3 frame at byte {self.size_bytes}")
        if self.first is None:
            raise ValueError("no frames")

    def drop_last(self) -> None:
        """Leave out the last frame; once, at the end."""
        self.size_bytes = self.last_offset
        self.count -= 1

    def at_percent(self) -> npt.NDArray[np.int64]:
        """The byte at which each hundredth of the frames begins, shape ``(100,)``."""
        frames = np.arange(100) * self.count // 100
        return np.asarray(self._offsets, np.int64)[frames // self._stride]

    def _note(self, header: FrameHeader, size: int) -> None:
        self.first = self.first or header
        if self.count % self._stride == 0:
            if len(self._offsets) == _MAX_OFFSETS:
                self._offsets = self._offsets[::2]
                self._stride *= 2
            self._offsets.append(self.size_bytes)
        self.last_offset = self.size_bytes
        self.size_bytes += size
        self.count += 1


class InfoFrame:
    """The Info frame of one stream: its size before the stream is read again for the checksum.

    A last frame that holds nothing but padding is left out (``audio_bytes``): some decoders cut
    at most one frame from the end. Raises ValueError when the stream does not hold the signal.
    """

    def __init__(self, index: FrameIndex, tag: InfoTag) -> None:
        index.finish()
        if index.first is None:
            raise ValueError("no frames")
        self._index, self._tag, self._first = index, tag, index.first
        frame = self._first.samples_per_frame
        coded = index.count * frame
        padding = coded - ENCODER_DELAY_SAMPLES - tag.signal_samples
        if padding - frame >= DECODER_DELAY_SAMPLES and index.count > _MIN_FRAMES:
            padding -= frame
            index.drop_last()
        if not DECODER_DELAY_SAMPLES <= padding < 4096:
            raise ValueError(f"{coded} coded samples for {tag.signal_samples} of signal")
        self._padding = padding
        self._header = _info_header(self._first)
        self.size_bytes = self._header.size_bytes
        self.audio_bytes = index.size_bytes

    def build(self, music_crc: int) -> bytes:
        """The silent frame. ``music_crc``: CRC-16/ARC of the first ``audio_bytes`` bytes."""
        header = self._header
        total_bytes = self.size_bytes + self.audio_bytes
        body = header.to_bytes() + bytes(header.side_info_bytes)
        body += _xing_part(self._index, self.size_bytes, total_bytes, self._tag)
        body += _lame_part(self._first, self._padding, self._tag)
        body += struct.pack(">IH", total_bytes, music_crc)
        body += struct.pack(">H", crc16(body))
        return body + bytes(self.size_bytes - len(body))


def _info_header(first: FrameHeader) -> FrameHeader:
    """The audio frames' header, with the lowest bitrate from theirs up that has the room."""
    needed = 4 + first.side_info_bytes + _XING_BYTES + _LAME_BYTES
    for bitrate in legal_bitrates_kbps(first.sample_rate):
        header = replace(first, bitrate_kbps=bitrate, is_padded=False)
        if bitrate >= first.bitrate_kbps and header.size_bytes >= needed:
            return header
    raise ValueError(f"no frame at {first.sample_rate} Hz holds the Info tag")


def _xing_part(index: FrameIndex, info_bytes: int, total_bytes: int, tag: InfoTag) -> bytes:
    """Magic, flags, counts, seek table, quality. The counted bytes include the Info frame."""
    magic = b"Info" if tag.vbr_quality is None else b"Xing"
    at_percent = index.at_percent() + info_bytes
    seek_table = bytes(np.minimum(at_percent * 256 // total_bytes, 255).tolist())
    # LAME's scale: 100 less ten per step of VBR quality (4 when constant), less the speed setting.
    vbr_quality = 4 if tag.vbr_quality is None else tag.vbr_quality
    quality = 100 - 10 * vbr_quality - tag.encoder_quality
    counts = struct.pack(">III", _HAS_ALL_FIELDS, index.count, total_bytes)
    return magic + counts + seek_table + struct.pack(">I", max(quality, 0))


def _lame_part(first: FrameHeader, padding: int, tag: InfoTag) -> bytes:
    """LAME's extension up to the preset field; lengths and checksums follow."""
    is_cbr = tag.vbr_quality is None
    stereo_mode = 0 if first.is_mono else 3  # joint stereo, LAME's default for two channels
    source_rate = {44100: 1, 48000: 2}.get(first.sample_rate, 0)
    delays = ENCODER_DELAY_SAMPLES << 12 | padding
    return b"".join(
        (
            b"LAME3.100",
            bytes((_METHOD_CBR if is_cbr else _METHOD_VBR_MTRH,)),
            bytes((_UNKNOWN,)),  # low-pass
            bytes(8),  # peak and replay gain: unknown
            bytes((_UNKNOWN,)),  # psychoacoustic flags
            bytes((min(first.bitrate_kbps, 255) if is_cbr else _UNKNOWN,)),
            delays.to_bytes(3, "big"),
            bytes((source_rate << 6 | stereo_mode << 2,)),
            bytes(3),  # gain change, preset and surround: none
        )
    )


def crc16(data: bytes, start: int = 0) -> int:
    """CRC-16/ARC of ``data``; ``start``: that of the bytes before, for data in parts.

    A byte loop in Python takes seconds for a story of fifteen minutes. The checksum is linear:
    it is the xor of what each byte contributes by its distance from the end. So blocks of 1 KiB
    are looked up in numpy and chained: crc(a + b) = advance(crc(a), len(b)) xor crc(b).
    """
    contributions, advance_low, advance_high = _crc_tables()
    if len(data) == 0:
        return start
    if len(data) == 1:
        in_last_place = (_CRC_BLOCK - 1) * 256
        return start >> 8 ^ int(contributions[in_last_place + ((start ^ data[0]) & 0xFF)])
    places = np.arange(_CRC_BLOCK) * 256
    # To go on from a checksum is to begin at 0 with it laid over the first two bytes; and from
    # 0, zeros in front change nothing.
    head = bytes((data[0] ^ start & 0xFF, data[1] ^ start >> 8))
    padded = bytes(-len(data) % _CRC_BLOCK) + head + data[2:]
    crc = 0
    for begin in range(0, len(padded), _CRC_SLICE):
        part = np.frombuffer(padded[begin : begin + _CRC_SLICE], np.uint8)
        by_block = contributions[part.reshape(-1, _CRC_BLOCK) + places]
        for block_crc in np.bitwise_xor.reduce(by_block, axis=1).tolist():
            crc = advance_low[crc & 0xFF] ^ advance_high[crc >> 8] ^ block_crc
    return crc


@lru_cache(maxsize=1)
def _crc_tables() -> tuple[npt.NDArray[np.uint16], list[int], list[int]]:
    """The tables for ``crc16``.

    What a byte contributes by its place in a block, at ``[place * 256 + byte]``; what a block of
    zeros does to the low and to the high byte of a checksum.
    """
    table: npt.NDArray[np.uint16] = np.arange(256, dtype=np.uint16)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ _CRC_POLYNOMIAL, table >> 1).astype(np.uint16)
    by_place = np.empty((_CRC_BLOCK, 256), np.uint16)
    states = table
    for place in reversed(range(_CRC_BLOCK)):
        by_place[place] = states
        states = (states >> 8) ^ table[states & 0xFF]
    ends = np.concatenate([np.arange(256), np.arange(256) << 8]).astype(np.uint16)
    for _ in range(_CRC_BLOCK):
        ends = (ends >> 8) ^ table[ends & 0xFF]
    return by_place.reshape(-1), ends[:256].tolist(), ends[256:].tolist()
