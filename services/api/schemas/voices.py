"""Schemas of voices."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask_smorest.fields import Upload
from marshmallow import (
    Schema,
    ValidationError,
    fields,
    post_load,
    pre_load,
    validate,
    validates_schema,
)

from mynah.contracts.states import JobState, Visibility, VoiceState
from mynah.db.models import Job, Voice
from mynah.errors import InvalidRequest
from services.api.schemas.common import PageQuerySchema, RequestSchema, page_schema, text_field
from services.api.use_cases.voice_import import ImportOrder
from services.api.use_cases.voices import Consent, VoiceOrder


class ConsentSchema(RequestSchema):
    """The speaker's consent."""

    statement = text_field(
        2000, 10, required=True, metadata={"example": "I agree that my voice is cloned."}
    )
    given_by = text_field(200, 1, required=True, metadata={"description": "whose voice it is"})


class VoiceCreateSchema(RequestSchema):
    """A voice to be cloned from samples."""

    name = text_field(200, 1, required=True)
    language = text_field(35, 2, required=True)
    sample_ids = fields.List(fields.UUID(), required=True, validate=validate.Length(1, 1000))
    consent = fields.Nested(ConsentSchema, required=True)
    description = text_field(2000, load_default="")
    kids = fields.Boolean(load_default=False)
    engine = text_field(64, 1, load_default=None, allow_none=True)
    sample_text = text_field(400, 1, load_default=None, allow_none=True)
    voice_id = fields.UUID(load_default=None, allow_none=True)

    @pre_load
    def require_consent(self, data: Any, **_: Any) -> Any:
        """A missing consent has an error of its own, for programs that ask for it then."""
        if isinstance(data, dict) and data.get("consent") is None:
            raise InvalidRequest(
                "A voice needs its speaker's consent.",
                code="consent_required",
                fields={"consent": ["Required."]},
            )
        return data

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> tuple[VoiceOrder, list[UUID]]:
        """The order and its samples."""
        sample_ids = data.pop("sample_ids")
        consent = Consent(**data.pop("consent"))
        return VoiceOrder(consent=consent, **data), sample_ids


class VoiceChangeSchema(RequestSchema):
    """What an owner may change."""

    name = text_field(200, 1)
    description = text_field(2000)


class VoiceSchema(Schema):
    """A voice."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    language = fields.String(required=True)
    kids = fields.Boolean(required=True)
    engine = fields.String(required=True)
    state = fields.Enum(VoiceState, by_value=True, required=True)
    visibility = fields.Enum(Visibility, by_value=True, required=True)
    is_own = fields.Boolean(required=True)
    facts = fields.Dict(required=True)
    consent = fields.Dict(allow_none=True)
    dictionaries = fields.List(
        fields.Dict(), allow_none=True, metadata={"description": "dictionary_id and version"}
    )
    job_id = fields.UUID(allow_none=True)
    recording_url = fields.String(allow_none=True)
    sample_url = fields.String(allow_none=True)
    error_code = fields.String(allow_none=True)
    error_message = fields.String(allow_none=True)
    created_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)


class VoiceQuerySchema(PageQuerySchema):
    """A page of voices."""

    language = text_field(35, 2)
    engine = text_field(64, 1)
    state = fields.Enum(VoiceState, by_value=True)
    visibility = fields.Enum(Visibility, by_value=True)
    kids = fields.Boolean()
    mine = fields.Boolean(metadata={"description": "only the caller's own voices"})
    name = text_field(200, 1, metadata={"description": "part of the name"})


VoicePageSchema = page_schema(VoiceSchema, "VoicePage")


class CloneJobSchema(Schema):
    """A job that makes a voice."""

    job_id = fields.UUID(required=True)
    voice_id = fields.UUID(allow_none=True)
    status = fields.Enum(JobState, by_value=True, required=True)
    progress = fields.Float(required=True)
    step = fields.String(allow_none=True, metadata={"description": "what is being done"})
    created_at = fields.DateTime(required=True)
    started_at = fields.DateTime(allow_none=True)
    completed_at = fields.DateTime(allow_none=True)
    error_code = fields.String(allow_none=True)
    error_message = fields.String(allow_none=True)


class BundleFileSchema(RequestSchema):
    """A bundle that was exported, or a ready voice file."""

    file = Upload(required=True)


class ImportFormSchema(RequestSchema):
    """What a voice file does not say by itself; a bundle says all of it."""

    name = text_field(200, 1, load_default=None)
    language = text_field(35, 2, load_default=None)
    engine = text_field(64, 1, load_default=None)
    kids = fields.Boolean(load_default=None)
    sample_rate = fields.Integer(load_default=None, validate=validate.Range(1000, 192_000))
    consent_statement = text_field(2000, 10, load_default=None)
    consent_given_by = text_field(200, 1, load_default=None)

    @validates_schema
    def check_consent(self, data: dict[str, Any], **_: Any) -> None:
        """Half a consent is none."""
        if (data["consent_statement"] is None) != (data["consent_given_by"] is None):
            raise ValidationError("Send both consent_statement and consent_given_by.")

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> ImportOrder:
        """The order."""
        statement, given_by = data.pop("consent_statement"), data.pop("consent_given_by")
        consent = None if statement is None else Consent(statement, given_by)
        return ImportOrder(consent=consent, **data)


def show_voice(voice: Voice, user_id: UUID) -> dict[str, Any]:
    """A voice's row as ``VoiceSchema`` shows it; consent and dictionaries only to its owner."""
    is_own = voice.user_id == user_id
    derived = {
        *("state", "visibility", "is_own", "consent", "dictionaries"),
        *("recording_url", "sample_url"),
    }
    shown = {name: getattr(voice, name) for name in set(VoiceSchema().fields) - derived}
    has_recording, has_sample = "recorded" in voice.objects, "spoken_sample" in voice.objects
    return {
        **shown,
        "state": VoiceState(voice.state),
        "visibility": Visibility(voice.visibility),
        "is_own": is_own,
        "consent": voice.consent if is_own else None,
        "dictionaries": voice.dictionaries if is_own else None,
        "recording_url": f"/api/voices/{voice.id}/recording" if has_recording else None,
        "sample_url": f"/api/voices/{voice.id}/sample" if has_sample else None,
    }


_STEPS = ("preparing the recordings", "building the profile", "publishing the voice")


def show_clone_job(job: Job) -> dict[str, Any]:
    """A clone job's row as ``CloneJobSchema`` shows it."""
    left = job.steps_total - job.steps_done
    return {
        "job_id": job.id,
        "voice_id": job.voice_id,
        "status": JobState(job.state),
        "progress": job.progress,
        "step": _STEPS[-left] if 0 < left <= len(_STEPS) else None,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "completed_at": job.ended_at,
        "error_code": job.error_code,
        "error_message": job.error_message,
    }
