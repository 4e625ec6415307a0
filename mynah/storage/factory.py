"""Chooses the object store by the settings."""

from __future__ import annotations

from mynah.settings import Settings
from mynah.storage.local import LocalObjectStore
from mynah.storage.minio import MinioObjectStore


def open_store(settings: Settings) -> LocalObjectStore | MinioObjectStore:
    """The object store that the settings name; nothing is connected yet."""
    if settings.storage == "minio":
        return MinioObjectStore(settings)
    return LocalObjectStore(settings.storage_dir)
