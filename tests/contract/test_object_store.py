"""Both object stores keep the same promises: a folder, and S3 with real signatures."""

from __future__ import annotations

import io
import urllib.request
from pathlib import Path

import pytest
from pydantic import SecretStr

from mynah.errors import NotFound, StorageUnavailable
from mynah.settings import Settings
from mynah.storage.base import ObjectStore
from mynah.storage.local import LocalObjectStore
from mynah.storage.minio import MinioObjectStore
from tests.parts import SwiftPart


def s3_settings(swift: SwiftPart, **overrides: object) -> Settings:
    values: dict[str, object] = {
        "storage": "minio",
        "minio_endpoint": swift.endpoint,
        "minio_public_endpoint": swift.endpoint,
        "minio_access_key": swift.access_key,
        "minio_secret_key": SecretStr(swift.secret_key),
        **overrides,
    }
    return Settings(**values)  # type: ignore[arg-type]


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "local":
        local = LocalObjectStore(tmp_path)
        local.create()
        return local
    s3 = MinioObjectStore(s3_settings(request.getfixturevalue("swift")))
    s3.create()
    s3.create()  # again is no error
    return s3


def test_what_is_put_can_be_got_and_replaced(store: ObjectStore) -> None:
    store.put("work/a/b.bin", b"first", "audio/flac")
    store.put("work/a/b.bin", b"second!", "audio/mpeg")
    assert store.get("work/a/b.bin") == b"second!"
    info = store.stat("work/a/b.bin")
    assert (info.size_bytes, info.content_type) == (7, "audio/mpeg")


def test_a_file_is_put_without_holding_it(store: ObjectStore) -> None:
    data = bytes(range(256)) * 4096
    store.put_file("uploads/u/s", io.BytesIO(data), len(data), "application/octet-stream")
    assert store.get("uploads/u/s") == data


@pytest.mark.parametrize(("start", "length"), [(0, 10), (3, 4), (9, 1), (0, 0)])
def test_a_range_is_just_that(store: ObjectStore, start: int, length: int) -> None:
    store.put("ranges/x", b"0123456789", "text/plain")
    got = b"".join(store.iter_range("ranges/x", start, length))
    assert got == b"0123456789"[start : start + length]


def test_what_is_not_there_is_not_found(store: ObjectStore) -> None:
    for call in (store.get, store.stat):
        with pytest.raises(NotFound):
            call("no/such/key")
    with pytest.raises(NotFound):
        store.iter_range("no/such/key", 0, 5)


def test_deleting_is_complete_and_can_be_repeated(store: ObjectStore) -> None:
    store.put("gone/x", b"1", "text/plain")
    store.delete("gone/x")
    store.delete("gone/x")
    with pytest.raises(NotFound):
        store.get("gone/x")


def test_keys_are_listed_by_their_folder(store: ObjectStore) -> None:
    for key in ("list/1/a", "list/1/b/c", "list/12/a"):
        store.put(key, b"1", "text/plain")
    assert sorted(store.list("list/1/")) == ["list/1/a", "list/1/b/c"]
    assert list(store.list("list/none/")) == []


def test_a_link_of_s3_downloads_without_credentials(swift: SwiftPart) -> None:
    store = MinioObjectStore(s3_settings(swift))
    store.create()
    store.put("links/x", b"linked", "audio/mpeg")
    link = store.presigned_url("links/x", 60, "née.mp3")
    assert link is not None
    with urllib.request.urlopen(link, timeout=10) as response:
        assert response.read() == b"linked"


def test_wrong_credentials_are_no_access(swift: SwiftPart) -> None:
    stranger = MinioObjectStore(s3_settings(swift, minio_secret_key=SecretStr("wrong")))
    with pytest.raises(StorageUnavailable):
        stranger.get("links/x")


def test_an_absent_server_says_so_quickly(swift: SwiftPart) -> None:
    absent = MinioObjectStore(s3_settings(swift, minio_endpoint="127.0.0.1:9"))
    with pytest.raises(StorageUnavailable):
        absent.ping()


def test_a_folder_that_is_gone_is_an_absent_store(tmp_path: Path) -> None:
    store = LocalObjectStore(tmp_path / "never-made")
    for call in (store.ping, lambda: store.get("a"), lambda: store.put("a", b"", "text/plain")):
        with pytest.raises(StorageUnavailable):
            call()


def test_a_key_cannot_leave_the_folder(tmp_path: Path) -> None:
    store = LocalObjectStore(tmp_path)
    store.create()
    for key in ("../x", "/etc/passwd", "a/../../x"):
        with pytest.raises(ValueError, match="not an object key"):
            store.get(key)
