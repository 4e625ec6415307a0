"""Bringing an object here to be read more than once, or out of order."""

from __future__ import annotations

from typing import BinaryIO

from mynah.storage.base import ObjectStore


def fetch_into(store: ObjectStore, key: str, file: BinaryIO) -> None:
    """Copy an object into an open file, which is at its start afterwards. Raises NotFound."""
    for chunk in store.iter_range(key, 0, store.stat(key).size_bytes):
        file.write(chunk)
    file.seek(0)
