"""The object store in a folder, for the local stack. A write is whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mynah.errors import NotFound, StorageUnavailable
from mynah.storage.base import ObjectInfo

CHUNK_BYTES = 256 * 1024
PLACE_ATTEMPTS = 5


class LocalObjectStore:
    """Objects as files under ``root/objects``, their types under ``root/types``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._objects = root / "objects"
        self._types = root / "types"
        self._incoming = root / "incoming"

    def create(self) -> None:
        """Make the folders. Only the local stack does; a store whose folder is gone is away."""
        with _translated_errors():
            for folder in (self._objects, self._types, self._incoming):
                folder.mkdir(parents=True, exist_ok=True)

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """See ObjectStore."""
        with _translated_errors(), self._written(key, content_type) as file:
            file.write(data)

    def put_file(self, key: str, file: BinaryIO, size_bytes: int, content_type: str) -> None:
        """See ObjectStore."""
        with _translated_errors(), self._written(key, content_type) as target:
            shutil.copyfileobj(file, target, CHUNK_BYTES)
            if target.tell() != size_bytes:
                raise OSError(f"{key}: {target.tell()} bytes instead of {size_bytes}")

    @contextmanager
    def _written(self, key: str, content_type: str) -> Iterator[BinaryIO]:
        handle, temporary = tempfile.mkstemp(dir=self._incoming)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            described = json.dumps({"content_type": content_type})
            self._place(self._path(self._types, key), lambda path: path.write_text(described))
            self._place(self._path(self._objects, key), Path(temporary).replace)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    @staticmethod
    def _place(path: Path, write: Callable[[Path], object]) -> None:
        for attempt in range(PLACE_ATTEMPTS):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                write(path)
                return
            except FileNotFoundError:  # a delete removed the empty folder in between
                if attempt == PLACE_ATTEMPTS - 1:
                    raise

    def get(self, key: str) -> bytes:
        """See ObjectStore."""
        with _translated_errors(), self._opened(key) as file:
            return file.read()

    def iter_range(self, key: str, start: int, length: int) -> Iterator[bytes]:
        """See ObjectStore."""
        with _translated_errors():
            file = self._opened(key)
        return self._chunks(file, start, length)

    @staticmethod
    def _chunks(file: BinaryIO, start: int, length: int) -> Iterator[bytes]:
        with file, _translated_errors():
            file.seek(start)
            while length > 0 and (chunk := file.read(min(CHUNK_BYTES, length))):
                length -= len(chunk)
                yield chunk

    def stat(self, key: str) -> ObjectInfo:
        """See ObjectStore."""
        with _translated_errors():
            self._ensure_present(key)
            size_bytes = self._path(self._objects, key).stat().st_size
            described = json.loads(self._path(self._types, key).read_text())
            return ObjectInfo(key, size_bytes, described["content_type"])

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        with _translated_errors():
            self.ping()
            for root in (self._objects, self._types):
                path = self._path(root, key)
                path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # not empty, or gone with another object
                    path.parent.rmdir()

    def list(self, prefix: str) -> Iterator[str]:
        """See ObjectStore."""
        with _translated_errors():
            self.ping()
            folder = self._path(self._objects, prefix.rstrip("/"))
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    yield path.relative_to(self._objects).as_posix()

    def presigned_url(self, key: str, expires_s: int, filename: str) -> str | None:  # noqa: ARG002
        """See ObjectStore. A folder has no links."""
        return None

    def ping(self) -> None:
        """See ObjectStore."""
        if not self._objects.is_dir():
            raise StorageUnavailable

    def _opened(self, key: str) -> BinaryIO:
        self._ensure_present(key)
        return self._path(self._objects, key).open("rb")

    def _ensure_present(self, key: str) -> None:
        if not self._path(self._objects, key).is_file():
            self.ping()
            raise NotFound(f"There is no object {key}.", code="object_not_found")

    @staticmethod
    def _path(root: Path, key: str) -> Path:
        path = root / key
        if ".." in path.parts or key.startswith("/"):
            raise ValueError(f"not an object key: {key!r}")
        return path


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageUnavailable from error
