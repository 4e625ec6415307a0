"""Zips for people to download, written in chunks: memory does not grow with what goes in."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Iterable
from typing import BinaryIO


def open_zip(file: BinaryIO) -> zipfile.ZipFile:
    """A new zip in an open file. Nothing in it is compressed: speech does not shrink."""
    return zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)


def add_entry(archive: zipfile.ZipFile, name: str, chunks: Iterable[bytes]) -> None:
    """Write one file of a zip, which may be longer than 4 GiB."""
    entry = zipfile.ZipInfo(name, time.gmtime()[:6])
    with archive.open(entry, "w", force_zip64=True) as target:
        for chunk in chunks:
            target.write(chunk)
