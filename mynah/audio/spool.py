"""Where files are made: in memory while they are small, in a temporary file beyond that."""

from __future__ import annotations

import tempfile
from typing import BinaryIO, cast

SPOOL_BYTES = 4 * 1024 * 1024


def open_spool() -> BinaryIO:
    """An empty binary file without a name that is gone when it is closed."""
    return cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES))


def size_of(file: BinaryIO) -> int:
    """The length of an open file in bytes; it is at its start afterwards."""
    file.seek(0, 2)
    size_bytes = file.tell()
    file.seek(0)
    return size_bytes
