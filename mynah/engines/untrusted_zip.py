"""Open a zip archive from a stranger: nothing in it may cost more than its bytes suggest."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from typing import BinaryIO

from mynah.errors import InvalidRequest

MAX_DIRECTORY_BYTES = 512 * 1024

_END, _END_BYTES = b"PK\x05\x06", 22
_LOCATOR, _LOCATOR_BYTES = b"PK\x06\x07", 20
_END64, _END64_BYTES = b"PK\x06\x06", 56
_MAX_COMMENT_BYTES = 0xFFFF
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# A damaged offset or field surfaces as any of these.
_READ_ERRORS = (zipfile.BadZipFile, zlib.error, RuntimeError, OSError, EOFError, ValueError)


def open_untrusted_zip(file: BinaryIO, max_entries: int) -> zipfile.ZipFile:
    """The archive, its list of entries checked. Raises InvalidRequest (``damaged_voice_file``).

    The size of the list is looked at before ``zipfile`` makes an object of every entry. Entries
    must be few, have names of their own, be neither encrypted nor packed by an exotic method,
    and not lie over each other.
    """
    size = file.seek(0, os.SEEK_END)
    if _directory_bytes(file, size) > MAX_DIRECTORY_BYTES:
        raise damaged_archive("it has too many entries")
    file.seek(0)
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        raise damaged_archive("it is not an archive") from error
    infos = archive.infolist()
    if len(infos) > max_entries:
        raise damaged_archive("it has too many entries")
    if len({info.filename for info in infos}) != len(infos):
        raise damaged_archive("two of its entries have one name")
    if any(info.flag_bits & _ENCRYPTED or info.compress_type not in _METHODS for info in infos):
        raise damaged_archive("its entries are encrypted or packed in an unusual way")
    if sum(info.compress_size for info in infos) > size:
        raise damaged_archive("its entries overlap")
    return archive


def read_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int) -> bytes:
    """One entry, never more than ``max_bytes`` of it. Raises InvalidRequest."""
    if info.file_size > max_bytes:
        raise damaged_archive(f"its entry {info.filename!r} is larger than {max_bytes} bytes")
    try:
        with archive.open(info) as entry:
            data = entry.read(max_bytes + 1)
    except _READ_ERRORS as error:
        raise damaged_archive(f"its entry {info.filename!r} cannot be read") from error
    if len(data) != info.file_size:
        raise damaged_archive(f"its entry {info.filename!r} is not as long as it says")
    return data


def _directory_bytes(file: BinaryIO, size: int) -> int:
    """The length of the list of entries, as ``zipfile`` will read it."""
    start = max(0, size - _MAX_COMMENT_BYTES - _END_BYTES - _LOCATOR_BYTES - _END64_BYTES)
    file.seek(start)
    tail = file.read(size - start)
    end = len(tail) - _END_BYTES
    if end < 0 or not (tail.startswith(_END, end) and tail.endswith(b"\0\0")):
        end = tail.rfind(_END)
    if end < 0 or end + _END_BYTES > len(tail):
        raise damaged_archive("it is not an archive")
    (directory_bytes,) = struct.unpack_from("<I", tail, end + 12)
    locator = end - _LOCATOR_BYTES
    end64 = locator - _END64_BYTES
    if end64 >= 0 and tail.startswith(_LOCATOR, locator) and tail.startswith(_END64, end64):
        (directory_bytes,) = struct.unpack_from("<Q", tail, end64 + 40)
    return int(directory_bytes)


def damaged_archive(why: str) -> InvalidRequest:
    """The error for an archive that is not what it should be."""
    return InvalidRequest(f"The file is damaged: {why}.", code="damaged_voice_file")
