"""Schemas of speech jobs."""

from __future__ import annotations

from typing import Any

from marshmallow import (
    Schema,
    ValidationError,
    fields,
    post_load,
    pre_load,
    validate,
    validates_schema,
)

from mynah.contracts.speech import (
    Markup,
    OutputFormat,
    Pacing,
    QualityTier,
    ScriptLine,
    VoiceSettings,
)
from mynah.contracts.states import JobState
from mynah.db.clock import utc_now
from mynah.db.models import Job
from mynah.jobs.progress import audio_done_of, eta_of
from services.api.schemas.common import PageQuerySchema, RequestSchema, page_schema, text_field
from services.api.schemas.dictionaries import ChoiceSchema
from services.api.use_cases.savings import saved_share, saved_share_pcm
from services.api.use_cases.speech_order import SpeechOrder

# Far above any text limit, which the use case checks with a message of its own.
_LONGEST_TEXT = 1_000_000
_MAX_SEED = 2**32 - 1
_MAX_LINES = 10_000
_MISSING = "Missing data for required field."
# What MP3 has at 22-24 kHz (MPEG-2) and OGG can be asked for.
BITRATES_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


class VoiceSettingsSchema(RequestSchema):
    """How to speak."""

    stability = fields.Float(validate=validate.Range(0, 1), metadata={"default": 0.5})
    similarity_boost = fields.Float(validate=validate.Range(0, 1), metadata={"default": 1.0})
    style = fields.Float(validate=validate.Range(0, 1), metadata={"default": 0.0})
    speed = fields.Float(validate=validate.Range(0.5, 2.0), metadata={"default": 1.0})
    pitch = fields.Float(
        validate=validate.Range(-12, 12), metadata={"default": 0.0, "description": "semitones"}
    )
    volume = fields.Float(validate=validate.Range(0.1, 2.0), metadata={"default": 1.0})


class ScriptLineSchema(RequestSchema):
    """What one speaker says."""

    voice_id = fields.UUID(required=True)
    text = text_field(_LONGEST_TEXT, 1, required=True)


class GenerateSchema(RequestSchema):
    """A text, or a script of several speakers, to be spoken."""

    text = text_field(_LONGEST_TEXT, 1)
    script = fields.List(
        fields.Nested(ScriptLineSchema),
        validate=validate.Length(1, _MAX_LINES),
        metadata={"description": "instead of text: what each speaker says, in order"},
    )
    voice_id = fields.UUID(
        metadata={"description": "whose voice; of a script the first line's unless given"}
    )
    language = text_field(
        35, 2, load_default=None, allow_none=True,
        metadata={"description": "a BCP-47 tag, or auto; else the voice's own"},
    )  # fmt: skip
    markup = fields.Enum(
        Markup, by_value=True, load_default=Markup.PLAIN,
        metadata={"description": "brackets: [pause 1.5s] and the like; ssml: a subset of SSML"},
    )  # fmt: skip
    unknown_tags = fields.String(
        load_default="error", validate=validate.OneOf(("error", "speak")),
        metadata={"description": "what becomes of marks that are not known"},
    )  # fmt: skip
    output_format = fields.Enum(OutputFormat, by_value=True, load_default=OutputFormat.MP3)
    quality = fields.Enum(QualityTier, by_value=True, load_default=QualityTier.STANDARD)
    bitrate_kbps = fields.Integer(
        strict=True, allow_none=True, load_default=None, validate=validate.Range(6, 512),
        metadata={"description": "what the format has; else the quality tier's"},
    )  # fmt: skip
    vbr_quality = fields.Integer(
        strict=True, allow_none=True, load_default=None, validate=validate.Range(0, 9),
        metadata={"description": "MP3 of variable bitrate, 0 is best"},
    )  # fmt: skip
    sample_rate = fields.Integer(
        strict=True, allow_none=True, load_default=None, validate=validate.Range(8000, 48000),
        metadata={"description": "in Hz; else the voice's own"},
    )  # fmt: skip
    channels = fields.Integer(strict=True, load_default=1, validate=validate.Range(1, 2))
    voice_settings = fields.Nested(VoiceSettingsSchema, load_default=dict)
    pacing = fields.Enum(
        Pacing, by_value=True, load_default=Pacing.NORMAL,
        metadata={"description": "bedtime: longer pauses"},
    )  # fmt: skip
    pause_scale = fields.Float(
        load_default=1.0, validate=validate.Range(0, 5),
        metadata={"description": "factor on the pauses that the text does not ask for"},
    )  # fmt: skip
    loudness_lufs = fields.Float(
        allow_none=True, load_default=None, validate=validate.Range(-40, -8),
        metadata={"description": "integrated loudness (EBU R128); the platform's unless given"},
    )  # fmt: skip
    dictionaries = fields.List(
        fields.Nested(ChoiceSchema), load_default=list, validate=validate.Length(0, 3)
    )
    title = text_field(200, load_default=None, allow_none=True)
    seed = fields.Integer(
        strict=True, allow_none=True, load_default=None, validate=validate.Range(0, _MAX_SEED)
    )

    @pre_load
    def accept_voice_model_id(self, data: Any, **_: Any) -> Any:
        """The voice may be named ``voice_model_id`` as in a job."""
        if isinstance(data, dict) and "voice_model_id" in data:
            data = dict(data)
            named = data.pop("voice_model_id")
            if data.setdefault("voice_id", named) != named:
                raise ValidationError("Differs from voice_id.", "voice_model_id")
        return data

    @validates_schema
    def check_source(self, data: dict[str, Any], **_: Any) -> None:
        """A text with its voice, or a script."""
        if "text" in data and "script" in data:
            raise ValidationError("Send either text or script.", "text")
        if "script" not in data:
            missing = [name for name in ("text", "voice_id") if name not in data]
            if missing:
                raise ValidationError({name: [_MISSING] for name in missing})

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> SpeechOrder:
        """The order."""
        settings = VoiceSettings(**data.pop("voice_settings"))
        script = tuple(ScriptLine(**line) for line in data.pop("script", ()))
        if script:
            data.setdefault("voice_id", script[0].voice_id)
        return SpeechOrder(
            text=data.pop("text", ""),
            script=script,
            dictionaries=tuple(data.pop("dictionaries")),
            voice_settings=settings,
            **data,
        )


class SpeechJobSchema(Schema):
    """A speech job."""

    job_id = fields.UUID(required=True)
    user_id = fields.UUID(required=True)
    voice_model_id = fields.UUID(allow_none=True)
    text = fields.String()
    title = fields.String(allow_none=True)
    language = fields.String()
    status = fields.Enum(JobState, by_value=True, required=True)
    progress = fields.Float(metadata={"description": "0-1, by audio made"})
    eta_s = fields.Float(
        allow_none=True, metadata={"description": "seconds to the end; null while nobody knows"}
    )
    audio_done_s = fields.Float(metadata={"description": "seconds of audio made so far"})
    batch_id = fields.UUID(allow_none=True, metadata={"description": "the batch it belongs to"})
    output_format = fields.String()
    bitrate_kbps = fields.Integer()
    voice_settings = fields.Nested(VoiceSettingsSchema)
    characters = fields.Integer()
    estimated_duration_s = fields.Float(allow_none=True)
    actual_duration_s = fields.Float(allow_none=True)
    estimated_cost = fields.Float(allow_none=True)
    actual_cost = fields.Float(allow_none=True)
    quality_score = fields.Float(allow_none=True)
    output_url = fields.String(allow_none=True)
    output_size_bytes = fields.Integer(allow_none=True)
    saved_share = fields.Float(
        allow_none=True,
        metadata={"description": "0-1, how much smaller than CD-quality WAV the output is"},
    )
    saved_share_pcm = fields.Float(
        allow_none=True, metadata={"description": "the same against the engine's own PCM"}
    )
    created_at = fields.DateTime()
    started_at = fields.DateTime(allow_none=True)
    completed_at = fields.DateTime(allow_none=True)
    expires_at = fields.DateTime(allow_none=True)
    error_code = fields.String(allow_none=True)
    error_message = fields.String(allow_none=True)


class SpeechResultSchema(SpeechJobSchema):
    """A finished job, with what was measured on its output."""

    download_url = fields.String(required=True)
    content_type = fields.String(required=True)
    details = fields.Dict(required=True)


class JobQuerySchema(PageQuerySchema):
    """A page of jobs."""

    status = fields.Enum(JobState, by_value=True)
    batch_id = fields.UUID(
        metadata={"description": "items of this batch; without it, jobs that belong to none"}
    )


class DownloadQuerySchema(RequestSchema):
    """Which format of a finished job."""

    format = fields.Enum(OutputFormat, by_value=True, load_default=None)


SpeechJobPageSchema = page_schema(SpeechJobSchema, "SpeechJobPage")


def show_job(job: Job) -> dict[str, Any]:
    """A job's row as ``SpeechJobSchema`` shows it."""
    request = job.request
    has_output = job.output_key is not None
    return {
        "job_id": job.id,
        "user_id": job.user_id,
        "voice_model_id": job.voice_id,
        "text": request["text"],
        "title": request["title"],
        "language": request["language"],
        "status": JobState(job.state),
        "progress": job.progress,
        "eta_s": eta_of(job, utc_now()),
        "audio_done_s": audio_done_of(job),
        "batch_id": job.parent_id,
        "output_format": job.output_format,
        "bitrate_kbps": request["bitrate_kbps"],
        "voice_settings": request["voice_settings"],
        "characters": job.characters,
        "estimated_duration_s": job.estimated_duration_s,
        "actual_duration_s": job.actual_duration_s,
        "estimated_cost": job.estimated_cost,
        "actual_cost": job.actual_cost,
        "quality_score": job.quality_score,
        "output_url": f"/api/tts/job/{job.id}/download" if has_output else None,
        "output_size_bytes": job.output_size_bytes,
        "saved_share": saved_share(job.saved_bytes, job.output_size_bytes),
        "saved_share_pcm": saved_share_pcm(job.pcm_bytes, job.output_size_bytes),
        "created_at": job.created_at,
        "started_at": job.started_at,
        "completed_at": job.ended_at,
        "expires_at": job.expires_at,
        "error_code": job.error_code,
        "error_message": job.error_message,
    }
