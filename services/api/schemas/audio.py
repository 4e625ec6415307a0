"""Schemas of the audio service."""

from __future__ import annotations

from typing import Any

from flask_smorest.fields import Upload
from marshmallow import Schema, fields, post_load, validate

from mynah.contracts.audio import (
    AnalyzeOptions,
    AudioFile,
    AudioItem,
    AudioOperation,
    AudioRequest,
    AudioResult,
    EnhanceOptions,
    FileOptions,
)
from mynah.contracts.speech import OutputFormat
from mynah.contracts.states import JobState
from mynah.db.models import Job
from services.api.schemas.common import RequestSchema, page_schema
from services.api.use_cases.audio import AudioOrder

_MOST_FILES = 1000  # far above the setting, which the use case checks with a message of its own


class AudioFilesSchema(RequestSchema):
    """Recordings of any common format, told by their content."""

    files = fields.List(Upload(), load_default=list, validate=validate.Length(max=_MOST_FILES))


class _InputsSchema(RequestSchema):
    """Recordings that are there already."""

    sample_ids = fields.List(
        fields.UUID(),
        load_default=list,
        validate=validate.Length(max=_MOST_FILES),
        metadata={"description": "samples to work on, beside the files or instead"},
    )


class AnalyzeFormSchema(_InputsSchema):
    """How the pictures and the peaks of an analysis are made."""

    pictures = fields.Boolean(load_default=True)
    width = fields.Integer(load_default=1200, validate=validate.Range(100, 4000))
    height = fields.Integer(load_default=300, validate=validate.Range(50, 1000))
    peaks_per_second = fields.Integer(load_default=20, validate=validate.Range(1, 200))

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> AudioOrder:
        """The order."""
        sample_ids = tuple(data.pop("sample_ids"))
        return AudioOrder(AudioOperation.ANALYZE, sample_ids, analyze=AnalyzeOptions(**data))


class _FileFormSchema(_InputsSchema):
    """What a made file is to be."""

    bitrate_kbps = fields.Integer(load_default=None, validate=validate.Range(8, 512))
    sample_rate = fields.Integer(load_default=None, validate=validate.Range(8000, 192_000))
    channels = fields.Integer(load_default=None, validate=validate.Range(1, 2))


class ConvertFormSchema(_FileFormSchema):
    """The format to convert to; rate and channels stay unless they are named."""

    output_format = fields.Enum(OutputFormat, by_value=True, required=True)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> AudioOrder:
        """The order."""
        sample_ids = tuple(data.pop("sample_ids"))
        return AudioOrder(AudioOperation.CONVERT, sample_ids, file=FileOptions(**data))


class EnhanceFormSchema(_FileFormSchema):
    """What is done to a recording, and the format of the result."""

    highpass_hz = fields.Float(
        load_default=70.0, validate=validate.Range(0, 400), metadata={"description": "0: none"}
    )
    declick = fields.Boolean(load_default=True)
    denoise_db = fields.Float(
        load_default=18.0,
        validate=validate.Range(0, 40),
        metadata={"description": "how far noise is turned down at most; 0: not at all"},
    )
    normalize = fields.Boolean(
        load_default=True, metadata={"description": "whether to bring it to loudness_lufs"}
    )
    loudness_lufs = fields.Float(load_default=-18.0, validate=validate.Range(-40, -8))
    output_format = fields.Enum(OutputFormat, by_value=True, load_default=OutputFormat.WAV)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> AudioOrder:
        """The order."""
        sample_ids = tuple(data.pop("sample_ids"))
        names = ("output_format", "bitrate_kbps", "sample_rate", "channels")
        file = FileOptions(**{name: data.pop(name) for name in names})
        if not data.pop("normalize"):
            data["loudness_lufs"] = None
        enhance = EnhanceOptions(**data)
        return AudioOrder(AudioOperation.ENHANCE, sample_ids, enhance=enhance, file=file)


class AudioFileSchema(Schema):
    """A file that a job made."""

    name = fields.String(required=True)
    content_type = fields.String(required=True)
    size_bytes = fields.Integer(required=True)
    url = fields.String(required=True)


class AudioItemSchema(Schema):
    """One input and what became of it."""

    index = fields.Integer(required=True)
    name = fields.String(required=True)
    sample_id = fields.UUID(required=True, allow_none=True)
    status = fields.Enum(JobState, by_value=True, required=True)
    result = fields.Dict(required=True, allow_none=True)
    files = fields.List(fields.Nested(AudioFileSchema), required=True)
    error_code = fields.String(required=True, allow_none=True)
    error_message = fields.String(required=True, allow_none=True)


class AudioJobSummarySchema(Schema):
    """A job of the audio service in short."""

    job_id = fields.UUID(required=True)
    operation = fields.Enum(AudioOperation, by_value=True, required=True)
    status = fields.Enum(JobState, by_value=True, required=True)
    progress = fields.Float(required=True, metadata={"description": "0-1"})
    items_total = fields.Integer(required=True)
    items_completed = fields.Integer(required=True)
    items_failed = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)
    started_at = fields.DateTime(required=True, allow_none=True)
    completed_at = fields.DateTime(required=True, allow_none=True)
    expires_at = fields.DateTime(required=True, allow_none=True)
    error_code = fields.String(required=True, allow_none=True)
    error_message = fields.String(required=True, allow_none=True)


class AudioJobSchema(AudioJobSummarySchema):
    """A job of the audio service, its items with their results and files."""

    items = fields.List(fields.Nested(AudioItemSchema), required=True)
    bundle = fields.Nested(
        AudioFileSchema,
        required=True,
        allow_none=True,
        metadata={"description": "all files of a batch in one zip"},
    )
    bundle_error = fields.String(
        required=True, allow_none=True, metadata={"description": "why a batch has no bundle"}
    )


AudioJobPageSchema = page_schema(AudioJobSummarySchema, "AudioJobPage")


def show_summary(job: Job) -> dict[str, Any]:
    """A job's row as ``AudioJobSummarySchema`` shows it."""
    items = (job.result or {}).get("items", {})
    failed = sum(1 for item in items.values() if item["error_code"])
    total = len(job.request["inputs"])
    if job.state == JobState.FAILED:
        failed = total - (len(items) - failed)
    return {
        "job_id": job.id,
        "operation": AudioOperation(job.request["operation"]),
        "status": JobState(job.state),
        "progress": job.progress,
        "items_total": total,
        "items_completed": sum(1 for item in items.values() if not item["error_code"]),
        "items_failed": failed,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "completed_at": job.ended_at,
        "expires_at": job.expires_at,
        "error_code": job.error_code,
        "error_message": job.error_message,
    }


def show_job(job: Job) -> dict[str, Any]:
    """A job's row as ``AudioJobSchema`` shows it."""
    request = AudioRequest.model_validate(job.request)
    result = AudioResult.model_validate(job.result or {})
    return {
        **show_summary(job),
        "items": [
            {
                "index": index,
                "name": given.name,
                "sample_id": given.sample_id,
                **_show_item(job, result.items.get(index)),
            }
            for index, given in enumerate(request.inputs)
        ],
        "bundle": None if result.bundle is None else _show_file(job, result.bundle),
        "bundle_error": result.bundle_error,
    }


def _show_item(job: Job, item: AudioItem | None) -> dict[str, Any]:
    """An item that is not done shares the end of its job."""
    if item is None:
        state = JobState(job.state)
        is_over = state in (JobState.FAILED, JobState.CANCELLED)
        return {
            "status": state if is_over else JobState.PENDING,
            "result": None,
            "files": [],
            "error_code": job.error_code,
            "error_message": job.error_message,
        }
    return {
        "status": JobState.FAILED if item.error_code else JobState.COMPLETED,
        "result": item.result,
        "files": [_show_file(job, file) for file in item.files],
        "error_code": item.error_code,
        "error_message": item.error_message,
    }


def _show_file(job: Job, file: AudioFile) -> dict[str, Any]:
    return {
        "name": file.name,
        "content_type": file.content_type,
        "size_bytes": file.size_bytes,
        "url": f"/api/audio/job/{job.id}/files/{file.name}",
    }
