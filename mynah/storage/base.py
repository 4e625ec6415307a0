"""The object store's protocol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object's size and type."""

    key: str
    size_bytes: int
    content_type: str


class ObjectStore(Protocol):
    """Bytes by key. Every method raises StorageUnavailable when the store is away."""

    def create(self) -> None:
        """Make the place where the objects lie, unless it is there."""
        ...

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store ``data``; replaces what was there, in one go."""
        ...

    def put_file(self, key: str, file: BinaryIO, size_bytes: int, content_type: str) -> None:
        """Store ``size_bytes`` read from ``file``, without holding them in memory."""
        ...

    def get(self, key: str) -> bytes:
        """The whole object. Raises NotFound."""
        ...

    def iter_range(self, key: str, start: int, length: int) -> Iterator[bytes]:
        """``length`` bytes from ``start`` in chunks. Raises NotFound before the first."""
        ...

    def stat(self, key: str) -> ObjectInfo:
        """Size and type. Raises NotFound."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Every key that starts with ``prefix``, which ends with a slash."""
        ...

    def presigned_url(self, key: str, expires_s: int, filename: str) -> str | None:
        """A link that downloads the object, or None where the store has no links."""
        ...

    def ping(self) -> None:
        """Raises StorageUnavailable when the store does not answer."""
        ...
