"""What a job left in the object store, and its removal."""

from __future__ import annotations

from mynah.contracts.object_keys import batch_archive, rendition, story
from mynah.contracts.speech import OutputFormat, RenditionRequest, SpeechRequest
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


def remove_leftovers(uow: UnitOfWork, store: ObjectStore, job: Job) -> None:
    """Remove what was stored of a speech, a rendition or a batch that ended without success.

    A cancellation may come between an attempt's upload and the commit that would have noted its
    key. Raises StorageUnavailable.
    """
    if job.state in (JobState.FAILED, JobState.CANCELLED):
        for key in _possible_outputs(uow, job):
            store.delete(key)


def _possible_outputs(uow: UnitOfWork, job: Job) -> list[str]:
    if job.kind == JobKind.RENDITION:
        return _possible_renditions(uow, job)
    origin, language = job.request.get("origin", "user"), job.request.get("language")
    if job.kind == JobKind.BATCH:
        return [batch_archive(job.id, origin)]
    if job.kind != JobKind.SPEECH or language is None:
        return []
    extensions = _possible_extensions(str(job.request.get("output_format")))
    return [story(job.id, language, origin, extension) for extension in extensions]


def _possible_renditions(uow: UnitOfWork, job: Job) -> list[str]:
    """None when it is made again meanwhile: the other job's file has the same key."""
    wish = RenditionRequest.model_validate(job.request)
    speech = uow.jobs.locked(wish.speech_job_id)  # so that nobody orders it just now
    made = uow.renditions.get(wish.speech_job_id, wish.rendition_id)
    if speech is None or made is None or made[1].id != job.id:
        return []
    request = SpeechRequest.model_validate(speech.request)
    return [
        rendition(speech.id, wish.rendition_id, request.language, request.origin, extension)
        for extension in _possible_extensions(wish.output_format)
    ]


def _possible_extensions(wished: str) -> list[str]:
    return sorted({wished, OutputFormat.WAV})  # its fallback


def remove_objects(store: ObjectStore, key: str) -> None:
    """Remove an object, or all in a folder when the key ends with a slash."""
    for found in list(store.list(key)) if key.endswith("/") else [key]:
        store.delete(found)
