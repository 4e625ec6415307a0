"""What a listener may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, fields, post_load, validate, validates_schema

from mynah.contracts.speech import CONTENT_TYPES, OutputFormat
from services.api.live.sockets.device_profiles import DEVICE_PROFILES
from services.api.schemas.common import RequestSchema
from services.api.schemas.speech import BITRATES_KBPS, GenerateSchema
from services.api.use_cases.speech_order import SpeechOrder

LIVE_FORMATS = (OutputFormat.MP3, OutputFormat.PCM, OutputFormat.WAV, OutputFormat.OPUS)
LIVE_CONTENT_TYPES = {fmt.value: CONTENT_TYPES[fmt] for fmt in LIVE_FORMATS}
STREAM_CONTENT_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav", "pcm": "audio/pcm"}


def adaptive_bitrate_field(**options: Any) -> fields.Boolean:
    """Whether an MP3's bitrate follows its listener's connection."""
    description = (
        "lower an MP3's bitrate while the connection is slower than the speech; on unless "
        "`bitrate_kbps` is given"
    )
    return fields.Boolean(load_default=None, metadata={"description": description}, **options)


class StreamQuerySchema(RequestSchema):
    """The form in which a listener wants the speech."""

    format = fields.String(load_default="mp3", validate=validate.OneOf(STREAM_CONTENT_TYPES))
    bitrate_kbps = fields.Integer(
        load_default=None,
        validate=validate.OneOf(BITRATES_KBPS),
        metadata={"description": "of an MP3; the job's own unless given"},
    )
    adaptive_bitrate = adaptive_bitrate_field()


@dataclass(frozen=True, slots=True)
class LiveOrder:
    """Speech to be heard at once; ``is_kept``: as an ordinary job.

    ``is_adaptive``: an MP3's bitrate follows the listener's connection.
    """

    speech: SpeechOrder
    is_kept: bool
    is_adaptive: bool


class LiveSpeechSchema(GenerateSchema):
    """A text to be spoken into the answer."""

    class Meta(RequestSchema.Meta):
        """A live stream is mono, of constant bitrate."""

        exclude = ("channels", "vbr_quality")

    output_format = fields.Enum(
        OutputFormat,
        by_value=True,
        load_default=OutputFormat.MP3,
        validate=validate.OneOf(LIVE_FORMATS, error="Must be one of: mp3, pcm, wav, opus."),
        metadata={"description": "mp3, pcm, wav or opus"},
    )
    store = fields.Boolean(
        load_default=False,
        metadata={"description": "keep the speech as an ordinary job; else nothing is kept"},
    )

    adaptive_bitrate = adaptive_bitrate_field(allow_none=True)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Any:
        """The order."""
        is_kept, is_adaptive = data.pop("store"), data.pop("adaptive_bitrate")
        if is_adaptive is None:
            is_adaptive = data.get("bitrate_kbps") is None
        return LiveOrder(super().build(data), is_kept, is_adaptive)


class ConversationSchema(LiveSpeechSchema):
    """How a WebSocket's texts are to be spoken."""

    class Meta(RequestSchema.Meta):
        """The device's profile says how it sounds; the texts come later."""

        exclude = (
            *("text", "script", "store", "title", "channels", "vbr_quality"),
            *("output_format", "quality", "bitrate_kbps", "sample_rate"),
        )

    profile = fields.String(
        load_default="browser", validate=validate.OneOf(sorted(DEVICE_PROFILES))
    )
    voice_id = fields.UUID(required=True)

    @validates_schema
    def check_source(self, data: dict[str, Any], **_: Any) -> None:
        """There is no text yet."""

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Any:
        """The device's profile, and the order that every text is put into."""
        profile = data.pop("profile")
        return profile, super().build({**data, "store": False})


class ResumeSchema(RequestSchema):
    """Where a broken conversation goes on."""

    session = fields.String(required=True, validate=validate.Length(1, 100))
    received_bytes = fields.Integer(strict=True, required=True, validate=validate.Range(0))
    received_events = fields.Integer(
        strict=True, allow_none=True, load_default=None, validate=validate.Range(0)
    )


class LinkRequestSchema(LiveSpeechSchema):
    """A text that is spoken when its link is opened."""

    expires_in_s = fields.Integer(strict=True, load_default=300, validate=validate.Range(10, 3600))

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> Any:
        """How long the link lives; its order is read again when it is opened."""
        return data["expires_in_s"]


class LinkSchema(Schema):
    """A link that speaks."""

    url = fields.String(required=True, metadata={"description": "for <audio src>"})
    expires_at = fields.DateTime(required=True)


class LinkQuerySchema(RequestSchema):
    """A link's own credentials."""

    token = fields.String(load_default="")
