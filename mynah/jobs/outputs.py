"""What a job left in the object store, and its removal."""

from __future__ import annotations

from mynah.db.models import Job
from mynah.db.unit_of_work import UnitOfWork
from mynah.storage.base import ObjectStore


def remove_output(uow: UnitOfWork, store: ObjectStore, job: Job) -> None:
    """Remove a job's output and, of a speech job, every rendition of it. The caller commits.

    Raises StorageUnavailable; what was removed until then stays removed when this runs again.
    """
    for one in (*(made for _, made in uow.renditions.of_job(job.id)), job):
        if one.output_key is not None:
            remove_objects(store, one.output_key)
            one.output_key = None


def remove_objects(store: ObjectStore, key: str) -> None:
    """Remove an object, or all in a folder when the key ends with a slash."""
    for found in list(store.list(key)) if key.endswith("/") else [key]:
        store.delete(found)
