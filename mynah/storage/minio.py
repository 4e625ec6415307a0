"""The object store on anything that speaks S3, through the minio client."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import BinaryIO
from urllib.parse import quote

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from mynah.errors import NotFound, StorageUnavailable
from mynah.settings import Settings
from mynah.storage.base import ObjectInfo

CHUNK_BYTES = 256 * 1024
PART_BYTES = 10 * 1024 * 1024
_NO_SUCH = ("NoSuchKey", "NoSuchObject")


class MinioObjectStore:
    """Objects in one bucket."""

    def __init__(self, settings: Settings) -> None:
        self._bucket = settings.minio_bucket
        self._region = settings.minio_region
        self._client = _connect(settings, settings.minio_endpoint)
        public = settings.minio_public_endpoint
        # Links are signed for the name under which a browser reaches the store.
        self._links = _connect(settings, public) if public else None

    def create(self) -> None:
        """Make the bucket, unless it is there."""
        with _translated_errors(self._bucket):
            if not self._client.bucket_exists(bucket_name=self._bucket):
                self._client.make_bucket(bucket_name=self._bucket, location=self._region)

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """See ObjectStore."""
        self.put_file(key, io.BytesIO(data), len(data), content_type)

    def put_file(self, key: str, file: BinaryIO, size_bytes: int, content_type: str) -> None:
        """See ObjectStore."""
        with _translated_errors(key):
            self._client.put_object(
                bucket_name=self._bucket,
                object_name=key,
                data=file,
                length=size_bytes,
                content_type=content_type,
                part_size=PART_BYTES,
            )

    def get(self, key: str) -> bytes:
        """See ObjectStore."""
        with _translated_errors(key):
            response = self._client.get_object(bucket_name=self._bucket, object_name=key)
            try:
                return bytes(response.read())
            finally:
                response.close()
                response.release_conn()

    def iter_range(self, key: str, start: int, length: int) -> Iterator[bytes]:
        """See ObjectStore."""
        if length == 0:
            self.stat(key)
            return iter(())
        with _translated_errors(key):
            response = self._client.get_object(
                bucket_name=self._bucket, object_name=key, offset=start, length=length
            )
        return self._chunks(key, response)

    @staticmethod
    def _chunks(key: str, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        with _translated_errors(key):
            try:
                yield from response.stream(CHUNK_BYTES)
            finally:
                response.close()
                response.release_conn()

    def stat(self, key: str) -> ObjectInfo:
        """See ObjectStore."""
        with _translated_errors(key):
            info = self._client.stat_object(bucket_name=self._bucket, object_name=key)
            return ObjectInfo(key, info.size or 0, info.content_type or "application/octet-stream")

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        with _translated_errors(key):
            try:
                self._client.remove_object(bucket_name=self._bucket, object_name=key)
            except S3Error as error:
                if error.code not in _NO_SUCH:
                    raise

    def list(self, prefix: str) -> Iterator[str]:
        """See ObjectStore."""
        with _translated_errors(prefix):
            for found in self._client.list_objects(
                bucket_name=self._bucket, prefix=prefix, recursive=True
            ):
                if found.object_name:
                    yield found.object_name

    def presigned_url(self, key: str, expires_s: int, filename: str) -> str | None:
        """See ObjectStore. None unless the store has an address that browsers reach."""
        if self._links is None:
            return None
        disposition = f"attachment; filename*=UTF-8''{quote(filename)}"
        with _translated_errors(key):
            return self._links.presigned_get_object(
                bucket_name=self._bucket,
                object_name=key,
                expires=timedelta(seconds=expires_s),
                response_headers={"response-content-disposition": disposition},
            )

    def ping(self) -> None:
        """See ObjectStore."""
        with _translated_errors(self._bucket):
            self._client.bucket_exists(bucket_name=self._bucket)


def _connect(settings: Settings, endpoint: str) -> Minio:
    # The client's own defaults (five tries, five minutes) would hold a request for too long.
    pool = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=2.0, read=settings.minio_timeout_s),
        retries=urllib3.Retry(total=1, backoff_factor=0.1, status_forcelist=[500, 502, 503, 504]),
        maxsize=16,
    )
    return Minio(
        endpoint=endpoint,
        access_key=settings.minio_access_key,
        secret_key=settings.minio_secret_key.get_secret_value(),
        secure=settings.minio_secure,
        region=settings.minio_region,  # given, so that signing a link asks nobody
        http_client=pool,
    )


@contextmanager
def _translated_errors(key: str) -> Iterator[None]:
    try:
        yield
    except S3Error as error:
        if error.code in _NO_SUCH:
            raise NotFound(f"There is no object {key}.", code="object_not_found") from error
        raise StorageUnavailable from error
    except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
        raise StorageUnavailable from error
