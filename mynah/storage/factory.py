"""Chooses the object store by the settings."""

from __future__ import annotations

from mynah.settings import Settings
from mynah.storage.base import ObjectStore
from mynah.storage.local import LocalObjectStore


def open_store(settings: Settings) -> ObjectStore:
    """The object store that the settings name; nothing is connected yet."""
    if settings.storage == "minio":
        # Here, for its client takes 0.1 s to load, in every process that does not use it.
        from mynah.storage.minio import MinioObjectStore  # noqa: PLC0415

        return MinioObjectStore(settings)
    return LocalObjectStore(settings.storage_dir)
