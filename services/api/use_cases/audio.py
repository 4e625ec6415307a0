"""Jobs of the audio service: ask for them with files or samples, look, cancel, fetch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePath
from uuid import UUID

from mynah.audio.formats import OutputSpec
from mynah.contracts.audio import (
    AnalyzeOptions,
    AudioFile,
    AudioInput,
    AudioOperation,
    AudioRequest,
    AudioResult,
    EnhanceOptions,
    FileOptions,
)
from mynah.contracts.object_keys import audio_folder, audio_input
from mynah.contracts.states import JobKind
from mynah.contracts.tasks import BUNDLE_AUDIO, CONVERT_AUDIO, ENHANCE_AUDIO, MEASURE_AUDIO
from mynah.db.clock import utc_now
from mynah.db.ids import new_id
from mynah.db.models import Job
from mynah.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from mynah.errors import Gone, InvalidRequest, NotFound, PayloadTooLarge, StorageUnavailable
from mynah.jobs.submission import StepPlan, submit_job
from mynah.jobs.transitions import cancel_job
from mynah.settings import Settings
from mynah.storage.base import ObjectStore
from services.api.use_cases.samples import Upload, measure_file
from services.api.use_cases.speech import Requester, as_file_name

_CONTRACTS = {
    AudioOperation.ANALYZE: MEASURE_AUDIO,
    AudioOperation.ENHANCE: ENHANCE_AUDIO,
    AudioOperation.CONVERT: CONVERT_AUDIO,
}
_BYTES_PER_WEIGHT = 1_000_000
_LEAST_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class AudioOrder:
    """What a caller asks to be done with files and samples."""

    operation: AudioOperation
    sample_ids: tuple[UUID, ...] = ()
    analyze: AnalyzeOptions | None = None
    enhance: EnhanceOptions | None = None
    file: FileOptions | None = None


@dataclass(frozen=True, slots=True)
class AudioDesk:
    """What orders are taken with."""

    new_uow: UnitOfWorkFactory
    store: ObjectStore
    settings: Settings


def order_audio(
    desk: AudioDesk, requester: Requester, order: AudioOrder, uploads: Sequence[Upload]
) -> Job:
    """Store the uploads and make a job of one step per file and sample; files come first.

    Raises InvalidRequest (no input, too many), InvalidAudio (empty), PayloadTooLarge,
    UnsupportedFormat, NotFound (sample), StorageUnavailable. Nothing stays behind then.
    """
    _check_order(desk.settings, order, len(uploads) + len(order.sample_ids))
    with desk.new_uow() as uow:
        samples = _sample_inputs(uow, requester.user_id, order.sample_ids)
    job_id = new_id()
    sizes = [_size_of(upload, desk.settings) for upload in uploads]
    files = [
        AudioInput(name=upload.name, object_key=audio_input(job_id, number), size_bytes=size)
        for number, (upload, size) in enumerate(zip(uploads, sizes, strict=True))
    ]
    stored: list[str] = []
    try:
        for upload, file in zip(uploads, files, strict=True):
            stored.append(file.object_key)
            desk.store.put_file(
                file.object_key, upload.file, file.size_bytes, "application/octet-stream"
            )
        return _record(desk, requester, job_id, order, (*files, *samples))
    except BaseException:
        for key in stored:
            with suppress(StorageUnavailable):  # what failed first is what the caller needs
                desk.store.delete(key)
        raise


def _check_order(settings: Settings, order: AudioOrder, count: int) -> None:
    if count == 0:
        raise InvalidRequest("Send files, or the ids of samples.", code="no_input")
    if count > settings.max_audio_files:
        raise InvalidRequest(
            f"{count} files are too many; {settings.max_audio_files} are allowed.",
            code="too_many_files",
        )
    if order.file is not None:
        OutputSpec.of_options(order.file)


def _sample_inputs(
    uow: UnitOfWork, user_id: UUID, sample_ids: Sequence[UUID]
) -> tuple[AudioInput, ...]:
    found = {sample.id: sample for sample in uow.samples.many(user_id, sample_ids)}
    missing = [str(sample_id) for sample_id in sample_ids if sample_id not in found]
    if missing:
        raise NotFound(
            "There is no such sample.", code="sample_not_found", fields={"sample_ids": missing}
        )
    return tuple(
        AudioInput(
            name=sample.name,
            object_key=sample.object_key,
            size_bytes=sample.size_bytes,
            sample_id=sample.id,
        )
        for sample in (found[sample_id] for sample_id in dict.fromkeys(sample_ids))
    )


def _size_of(upload: Upload, settings: Settings) -> int:
    try:
        return measure_file(upload.file, settings.max_upload_bytes)[0]
    except (InvalidRequest, PayloadTooLarge) as error:
        error.fields = {"files": [f"{upload.name}: {error.message}"]}
        raise


def _record(
    desk: AudioDesk,
    requester: Requester,
    job_id: UUID,
    order: AudioOrder,
    inputs: tuple[AudioInput, ...],
) -> Job:
    request = AudioRequest(
        operation=order.operation,
        inputs=inputs,
        analyze=order.analyze,
        enhance=order.enhance,
        file=order.file,
    )
    job = Job(
        id=job_id,
        user_id=requester.user_id,
        kind=JobKind.AUDIO,
        request=request.model_dump(mode="json"),
        request_id=requester.request_id,
        # From the beginning, so that the files of a job that fails are removed too.
        output_key=audio_folder(requester.user_id, job_id),
        expires_at=utc_now() + timedelta(hours=desk.settings.output_retention_h),
        has_work_files=True,
    )
    with desk.new_uow() as uow:
        submit_job(uow, job, _plan_steps(order.operation, inputs), desk.settings.release_window)
        uow.session.refresh(job)
        uow.commit()
        return job


def _plan_steps(operation: AudioOperation, inputs: Sequence[AudioInput]) -> list[StepPlan]:
    contract = _CONTRACTS[operation]
    plans = [
        StepPlan(
            contract,
            contract.queue_for(),
            0,
            weight=max(given.size_bytes / _BYTES_PER_WEIGHT, _LEAST_WEIGHT),
        )
        for given in inputs
    ]
    if len(plans) > 1:
        plans.append(StepPlan(BUNDLE_AUDIO, BUNDLE_AUDIO.queue_for(), 1, weight=_LEAST_WEIGHT))
    return plans


def find_audio_job(uow: UnitOfWork, user_id: UUID, job_id: UUID) -> Job:
    """A user's audio job. Raises NotFound."""
    job = uow.jobs.get(user_id, job_id, JobKind.AUDIO)
    if job is None:
        raise NotFound("There is no such job.", code="job_not_found")
    return job


def cancel_audio_job(uow: UnitOfWork, user_id: UUID, job_id: UUID) -> Job:
    """Cancel a user's job. Raises NotFound, Conflict when it ended in another way."""
    find_audio_job(uow, user_id, job_id)
    job = uow.jobs.locked(job_id)
    if job is None:
        raise NotFound("There is no such job.", code="job_not_found")
    cancel_job(uow, job)
    return job


def find_file(job: Job, name: str) -> AudioFile:
    """A file that a job made. Raises NotFound, Gone after its retention."""
    result = AudioResult.model_validate(job.result or {})
    files = [file for item in result.items.values() for file in item.files]
    for file in (*files, *([result.bundle] if result.bundle else [])):
        if file.name == name:
            if job.output_key is None:
                raise Gone("The file was removed after its retention time.", code="output_expired")
            return file
    raise NotFound("The job has no such file.", code="file_not_found")


def download_name(job: Job, file: AudioFile) -> str:
    """The name under which a browser saves a file: after the input that it was made from."""
    number, _, kind = file.name.partition(".")
    if not number.isdigit():
        return f"{AudioRequest.model_validate(job.request).operation}-{job.id}.zip"
    stem = PurePath(AudioRequest.model_validate(job.request).inputs[int(number)].name).stem
    return f"{as_file_name(stem) or number}.{kind}"
