"""Schemas of renditions."""

from __future__ import annotations

from typing import Any

from flask import url_for
from marshmallow import Schema, fields, post_load, validate

from mynah.audio.formats import OutputSpec
from mynah.contracts.speech import OutputFormat
from mynah.contracts.states import JobState
from mynah.db.repositories.renditions import Made
from services.api.schemas.common import RequestSchema

_HIGHEST_RATE = 192_000


class RenditionWishSchema(RequestSchema):
    """Another format of a finished job; what is left out follows from the format and the job."""

    output_format = fields.Enum(OutputFormat, by_value=True, required=True)
    bitrate_kbps = fields.Integer(
        strict=True, allow_none=True, load_default=None, validate=validate.Range(1, 1000)
    )
    vbr_quality = fields.Integer(
        strict=True,
        allow_none=True,
        load_default=None,
        validate=validate.Range(0, 9),
        metadata={"description": "of an MP3, 0 (best) to 9"},
    )
    sample_rate = fields.Integer(
        strict=True, allow_none=True, load_default=None, validate=validate.Range(1, _HIGHEST_RATE)
    )
    channels = fields.Integer(
        strict=True, allow_none=True, load_default=None, validate=validate.Range(1, 2)
    )

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> OutputSpec:
        """The specification. Raises UnsupportedFormat for what the format does not allow."""
        return OutputSpec(data.pop("output_format"), **data)


class RenditionSchema(Schema):
    """A finished job in another format, and how far its making is."""

    rendition_id = fields.UUID(required=True)
    job_id = fields.UUID(required=True, metadata={"description": "the speech job"})
    status = fields.Enum(JobState, by_value=True, required=True)
    progress = fields.Float(metadata={"description": "0-1"})
    output_format = fields.String(required=True)
    bitrate_kbps = fields.Integer(allow_none=True)
    vbr_quality = fields.Integer(allow_none=True)
    sample_rate = fields.Integer()
    channels = fields.Integer()
    duration_s = fields.Float(allow_none=True)
    size_bytes = fields.Integer(allow_none=True)
    download_url = fields.String(allow_none=True)
    created_at = fields.DateTime()
    completed_at = fields.DateTime(allow_none=True)
    expires_at = fields.DateTime(allow_none=True)
    error_code = fields.String(allow_none=True)
    error_message = fields.String(allow_none=True)


class RenditionListSchema(Schema):
    """Every rendition of a job."""

    items = fields.List(fields.Nested(RenditionSchema), required=True)


def show_rendition(made: Made) -> dict[str, Any]:
    """A rendition with its job as ``RenditionSchema`` shows it."""
    rendition, job = made
    wish = job.request
    job_id, rendition_id = rendition.speech_job_id, rendition.id
    url = url_for("renditions.RenditionDownload", job_id=job_id, rendition_id=rendition_id)
    return {
        "job_id": job_id,
        "rendition_id": rendition_id,
        "status": JobState(job.state),
        "progress": job.progress,
        "output_format": job.output_format,
        **{name: wish[name] for name in ("vbr_quality", "sample_rate", "channels")},
        "bitrate_kbps": (job.result or wish)["bitrate_kbps"],
        "duration_s": job.actual_duration_s,
        "size_bytes": job.output_size_bytes,
        "download_url": url if job.output_key is not None else None,
        "created_at": rendition.created_at,
        "completed_at": job.ended_at,
        "expires_at": job.expires_at,
        "error_code": job.error_code,
        "error_message": job.error_message,
    }
