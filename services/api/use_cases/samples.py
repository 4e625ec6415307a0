"""Voice samples: receive a recording untouched, have it measured, remove it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

from mynah.contracts.object_keys import upload
from mynah.contracts.speech import AnalysisRequest
from mynah.contracts.states import JobKind, SampleState
from mynah.contracts.tasks import ANALYZE_SAMPLE
from mynah.db.ids import new_id
from mynah.db.models import Job, Sample
from mynah.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from mynah.errors import InvalidAudio, NotFound, PayloadTooLarge, StorageUnavailable
from mynah.jobs.submission import StepPlan, submit_job
from mynah.jobs.transitions import cancel_job
from mynah.storage.base import ObjectStore

CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it came, read from its start; ``filename`` is only shown, never trusted."""

    file: BinaryIO
    filename: str
    content_type: str
    name: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A new sample and the job that measures it."""

    sample: Sample
    job: Job


def store_sample(
    new_uow: UnitOfWorkFactory,
    store: ObjectStore,
    received: Upload,
    *,
    user_id: UUID,
    request_id: str,
    max_bytes: int,
) -> Stored:
    """Store a recording as it is and send it to be measured.

    Raises InvalidAudio (empty), PayloadTooLarge, StorageUnavailable. Nothing stays behind when
    it cannot be recorded.
    """
    with keeping_files(store, [received], user_id, max_bytes) as (sample,), new_uow() as uow:
        job = record_sample(uow, sample, request_id)
        uow.session.refresh(sample)
        uow.commit()
        return Stored(sample, job)


@contextmanager
def keeping_files(
    store: ObjectStore, uploads: Sequence[Upload], user_id: UUID, max_bytes: int
) -> Iterator[list[Sample]]:
    """Store files for a block that records them: the samples to be, in order.

    All are measured before the first is stored. When the block fails, the files are removed.
    Raises InvalidAudio (empty), PayloadTooLarge, StorageUnavailable.
    """
    samples = [_measured(received, user_id, max_bytes) for received in uploads]
    try:
        for sample, received in zip(samples, uploads, strict=True):
            store.put_file(sample.object_key, received.file, sample.size_bytes, sample.content_type)
        yield samples
    except BaseException:
        with suppress(StorageUnavailable):  # what failed first is what the caller needs to know
            for sample in samples:
                store.delete(sample.object_key)
        raise


def record_sample(uow: UnitOfWork, sample: Sample, request_id: str) -> Job:
    """Add a stored file's row and the job that measures it. The caller commits."""
    request = AnalysisRequest(sample_id=sample.id)
    uow.samples.add(sample)
    uow.session.flush()
    job = Job(
        id=new_id(),
        user_id=sample.user_id,
        kind=JobKind.ANALYSIS,
        request=request.model_dump(mode="json"),
        request_id=request_id,
        sample_id=sample.id,
    )
    submit_job(uow, job, [StepPlan(ANALYZE_SAMPLE, ANALYZE_SAMPLE.queue_for(), 0)], window=1)
    return job


def _measured(received: Upload, user_id: UUID, max_bytes: int) -> Sample:
    size_bytes, sha256 = measure_file(received.file, max_bytes)
    sample_id = new_id()
    return Sample(
        id=sample_id,
        user_id=user_id,
        name=received.name or received.filename,
        filename=received.filename,
        content_type=received.content_type or "application/octet-stream",
        size_bytes=size_bytes,
        sha256=sha256,
        object_key=upload(user_id, sample_id),
        state=SampleState.UPLOADED,
    )


def find_sample(uow: UnitOfWork, user_id: UUID, sample_id: UUID) -> Sample:
    """A user's recording. Raises NotFound."""
    sample = uow.samples.get(user_id, sample_id)
    if sample is None:
        raise NotFound("There is no such sample.", code="sample_not_found")
    return sample


def delete_sample(uow: UnitOfWork, store: ObjectStore, user_id: UUID, sample_id: UUID) -> None:
    """Remove a recording and its file. Voices made from it stay: they have their own audio.

    The caller commits. Raises NotFound, StorageUnavailable.
    """
    sample = find_sample(uow, user_id, sample_id)
    for job in uow.jobs.open_of_sample(sample_id):
        cancel_job(uow, job)
    store.delete(sample.object_key)
    uow.samples.delete(sample)


def measure_file(file: BinaryIO, max_bytes: int) -> tuple[int, str]:
    """Size and hash of a file, which is rewound. Raises InvalidAudio, PayloadTooLarge."""
    digest = hashlib.sha256()
    size_bytes = 0
    while chunk := file.read(CHUNK_BYTES):
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            raise PayloadTooLarge(f"The file is larger than {max_bytes} bytes.")
        digest.update(chunk)
    if size_bytes == 0:
        raise InvalidAudio("The file is empty.", code="empty_audio")
    file.seek(0)
    return size_bytes, digest.hexdigest()
