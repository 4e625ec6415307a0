"""MP4 files after FFmpeg wrote them: tags, and the index moved to the front.

FFmpeg writes the index (``moov``) behind the audio, since only then its size is known; a player
that gets the file over the network would have to fetch its end first. Source: ISO/IEC 14496-12,
4.2 (boxes), 8.7.5 (chunk offsets), 8.1.1 (``ftyp``, ``mdat`` and ``moov`` in any order).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import mutagen.mp4

from mynah.audio.tags import SpeechTags

# mutagen has no types; through Any the strict checker lets its calls pass.
_mp4: Any = mutagen.mp4

_NAMES = {"title": "\xa9nam", "artist": "\xa9ART", "album": "\xa9alb", "comment": "\xa9cmt"}
_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_CHUNK_OFFSETS = {b"stco": "I", b"co64": "Q"}  # 32 or 64 bits each
_COPY_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int
    body: int
    end: int


def write_mp4_tags(file: BinaryIO, tags: SpeechTags) -> None:
    """Put the tags into a finished MP4 file."""
    texts = tags.cleaned()
    file.seek(0)
    audio = _mp4.MP4(file)
    for name, key in _NAMES.items():
        if name in texts:
            audio[key] = [texts[name]]
    file.seek(0)
    audio.save(file)


def copy_moov_first(source: BinaryIO, target: BinaryIO, brand: bytes) -> None:
    """Copy an MP4 file with its index before the audio; ``brand`` of four bytes names its kind.

    Raises ValueError when ``source`` has not the boxes that FFmpeg writes.
    """
    boxes = {box.kind: box for box in _iter_boxes(source)}
    if not {b"ftyp", b"mdat", b"moov"} <= boxes.keys():
        raise ValueError("not a finished MP4 file")
    header, moov = (bytearray(_read(source, boxes[kind])) for kind in (b"ftyp", b"moov"))
    header[8:12] = brand
    if boxes[b"moov"].start > boxes[b"mdat"].start:
        _shift_offsets(moov, 0, len(moov), len(moov))
    target.write(header + moov)
    for kind, box in boxes.items():
        if kind not in (b"ftyp", b"moov"):
            source.seek(box.start)
            _copy(source, target, box.end - box.start)


def _iter_boxes(file: BinaryIO) -> Iterator[_Box]:
    """The top-level boxes of a file."""
    end = file.seek(0, 2)
    position = 0
    while position + 8 <= end:
        file.seek(position)
        box = _parse_box(file.read(16), 0, end - position)
        yield _Box(box.kind, position, position + box.body, position + box.end)
        position += box.end


def _parse_box(data: bytes | bytearray, start: int, rest: int) -> _Box:
    """The box at ``start`` of ``data``; ``rest``: the bytes from there to the file's end."""
    size, kind = struct.unpack_from(">I4s", data, start)
    body = start + 8
    if size == 1:
        (size,) = struct.unpack_from(">Q", data, start + 8)
        body += 8
    if size == 0:
        size = rest
    if size < 8 or size > rest:
        raise ValueError("not an MP4 file")
    return _Box(kind, start, body, start + size)


def _shift_offsets(moov: bytearray, start: int, end: int, by: int) -> None:
    """Add to every offset that the index of chunks holds, in place."""
    while start + 8 <= end:
        box = _parse_box(moov, start, end - start)
        if box.kind in _CONTAINERS:
            _shift_offsets(moov, box.body, box.end, by)
        elif box.kind in _CHUNK_OFFSETS:
            (count,) = struct.unpack_from(">I", moov, box.body + 4)
            layout = f">{count}{_CHUNK_OFFSETS[box.kind]}"
            moved = [one + by for one in struct.unpack_from(layout, moov, box.body + 8)]
            struct.pack_into(layout, moov, box.body + 8, *moved)
        start = box.end


def _read(file: BinaryIO, box: _Box) -> bytes:
    file.seek(box.start)
    return file.read(box.end - box.start)


def _copy(source: BinaryIO, target: BinaryIO, size_bytes: int) -> None:
    while size_bytes > 0 and (part := source.read(min(_COPY_BYTES, size_bytes))):
        target.write(part)
        size_bytes -= len(part)
