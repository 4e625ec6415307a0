"""What a job left in the object store, and its removal."""

from __future__ import annotations

from mynah.contracts.object_keys import batch_archive, story
from mynah.contracts.speech import OutputFormat
from mynah.contracts.states import JobKind, JobState
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


def remove_leftovers(store: ObjectStore, job: Job) -> None:
    """Remove what was stored of a speech or a batch that then ended without success.

    A cancellation may come between an attempt's upload and the commit that would have noted its
    key. Raises StorageUnavailable.
    """
    if job.state in (JobState.FAILED, JobState.CANCELLED):
        for key in _possible_outputs(job):
            store.delete(key)


def _possible_outputs(job: Job) -> list[str]:
    origin, language = job.request.get("origin", "user"), job.request.get("language")
    if job.kind == JobKind.BATCH:
        return [batch_archive(job.id, origin)]
    if job.kind != JobKind.SPEECH or language is None:
        return []
    formats = {str(job.request.get("output_format")), OutputFormat.WAV.value}  # its fallback
    return [story(job.id, language, origin, extension) for extension in sorted(formats)]


def remove_objects(store: ObjectStore, key: str) -> None:
    """Remove an object, or all in a folder when the key ends with a slash."""
    for found in list(store.list(key)) if key.endswith("/") else [key]:
        store.delete(found)
