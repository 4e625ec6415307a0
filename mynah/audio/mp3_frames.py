"""MP3 frames taken apart: whose bytes a frame's sound lies in, and frames moved to another stream.

A frame's sound (its main data) may begin in the slots of the frames before it: the bit reservoir.
So a frame of one stream cannot simply stand behind a frame of another. ``splice_frames`` lays the
sound of the first frames into slots of their own, which a higher bitrate in their headers makes
large enough; the sound itself stays as it is, bit by bit.

Mono only. Source: ISO/IEC 11172-3, 2.4.1.7 and 2.4.2.7, and 13818-3, 2.4.1.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from mynah.audio.mp3_format import FrameHeader, legal_bitrates_kbps, parse_frame_header

_HEADER_BYTES = 4
_GRANULE_BITS = 12
# Bits of main_data_begin, and the bit at which each granule's part2_3_length stands.
_LONG_SIDE_INFO = (9, (18, 77))  # MPEG-1
_SHORT_SIDE_INFO = (8, (9,))


@dataclass(frozen=True, slots=True)
class Mp3Frame:
    """One whole frame of a mono stream."""

    header: FrameHeader
    data: bytes

    @classmethod
    def parse(cls, data: bytes) -> Mp3Frame:
        """A frame that ``FrameSplitter`` has cut."""
        return cls(_mono_header(data[:_HEADER_BYTES]), data)

    @property
    def side_info(self) -> bytes:
        """What says where the sound lies and how it is coded."""
        return self.data[_HEADER_BYTES : _HEADER_BYTES + self.header.side_info_bytes]

    @property
    def slot(self) -> bytes:
        """What follows the side information: sound, of this frame or of later ones."""
        return self.data[_HEADER_BYTES + self.header.side_info_bytes :]

    @property
    def main_data_begin(self) -> int:
        """How many bytes before its own slot the frame's sound begins."""
        bits = self._layout[0]
        return self._bits(0, bits)

    @property
    def main_data_bytes(self) -> int:
        """How long the frame's sound is."""
        bits = sum(self._bits(place, _GRANULE_BITS) for place in self._layout[1])
        return (bits + 7) // 8

    def moved(self, bitrate_kbps: int, main_data_begin: int, slot: bytes) -> Mp3Frame:
        """The same sound, lying elsewhere. ``slot`` is filled up to the frame's length."""
        header = replace(self.header, bitrate_kbps=bitrate_kbps)
        bits, size = self._layout[0], len(self.side_info)
        shift = 8 * size - bits
        side = int.from_bytes(self.side_info) & ~(((1 << bits) - 1) << shift)
        side_info = (side | main_data_begin << shift).to_bytes(size)
        filled = slot.ljust(slot_bytes(header), b"\0")
        return Mp3Frame(header, header.to_bytes() + side_info + filled)

    @property
    def _layout(self) -> tuple[int, tuple[int, ...]]:
        return _LONG_SIDE_INFO if self.header.samples_per_frame == 1152 else _SHORT_SIDE_INFO

    def _bits(self, place: int, count: int) -> int:
        side_info = self.side_info
        shift = 8 * len(side_info) - place - count
        return int.from_bytes(side_info) >> shift & ((1 << count) - 1)


class FrameSplitter:
    """Cuts what an encoder writes, which ends anywhere, into whole frames.

    They stay bytes: a listener has forty each second, and hardly ever a change of bitrate.
    """

    def __init__(self) -> None:
        self._rest = b""

    def split(self, data: bytes) -> list[bytes]:
        """The frames that ``data`` completes. ValueError when it is no mono MP3."""
        data, position, frames = self._rest + data, 0, []
        while position + _HEADER_BYTES <= len(data):
            end = position + _frame_bytes(data[position : position + _HEADER_BYTES])
            if end > len(data):
                break
            frames.append(data[position:end])
            position = end
        self._rest = data[position:]
        return frames


def _mono_header(header: bytes) -> FrameHeader:
    """Four bytes read. ValueError when they begin no mono MP3 frame."""
    parsed = parse_frame_header(header, 0)
    if parsed is None or not parsed.is_mono:
        raise ValueError("no MP3 frame of one channel")
    return parsed


@lru_cache(maxsize=1024)
def _frame_bytes(header: bytes) -> int:
    """How long the frame is that begins with these four bytes; a stream has few different ones."""
    return _mono_header(header).size_bytes


def slot_bytes(header: FrameHeader) -> int:
    """Room for sound in a frame."""
    return header.size_bytes - _HEADER_BYTES - header.side_info_bytes


def splice_frames(frames: Sequence[Mp3Frame], first: int) -> list[Mp3Frame] | None:
    """``frames`` from ``first`` on, so that they need nothing of the frames before.

    None while it cannot be told yet (more frames are needed), or when the sound of the first is
    longer than any frame: then another frame has to be the first.
    """
    sounds = _sounds(frames)
    moved: list[Mp3Frame] = []
    brought = 0  # how much of a frame's sound lies in the slot before its own
    for number in range(first, len(frames) - 1):
        frame, following = frames[number], frames[number + 1]
        needed, wanted = len(sounds[number]) - brought, following.main_data_begin
        bitrate = _bitrate_with_room(frame.header, needed + wanted)
        room = slot_bytes(replace(frame.header, bitrate_kbps=bitrate)) - needed
        if room < 0:
            return None
        carried = min(room, wanted)
        slot = sounds[number][brought:].ljust(needed + room - carried, b"\0")
        slot += _reservoir(frames, number, wanted)[:carried]
        moved.append(frame.moved(bitrate, brought, slot))
        if carried == wanted:
            return [*moved, *frames[number + 1 :]]
        brought = carried
    return None


def _sounds(frames: Sequence[Mp3Frame]) -> list[bytes]:
    """The main data of each frame; of the first ones perhaps not whole."""
    stream, sounds = b"", []
    for frame in frames:
        begin = max(0, len(stream) - frame.main_data_begin)
        stream += frame.slot
        sounds.append(stream[begin : begin + frame.main_data_bytes])
    return sounds


def _reservoir(frames: Sequence[Mp3Frame], last: int, size: int) -> bytes:
    """The last bytes of the slots up to frame ``last``."""
    stream = b"".join(frame.slot for frame in frames[: last + 1])
    return stream[len(stream) - size :]


def _bitrate_with_room(header: FrameHeader, size: int) -> int:
    """The lowest bitrate from the frame's own up whose slot holds so much; else the highest."""
    bitrates = [b for b in legal_bitrates_kbps(header.sample_rate) if b >= header.bitrate_kbps]
    for bitrate in bitrates:
        if slot_bytes(replace(header, bitrate_kbps=bitrate)) >= size:
            return bitrate
    return bitrates[-1]
