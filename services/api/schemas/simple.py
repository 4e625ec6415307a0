"""Schemas of the small synchronous API."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, post_load

from mynah.contracts.speech import OutputFormat, VoiceSettings
from services.api.schemas.common import RequestSchema, text_field
from services.api.schemas.speech import VoiceSettingsSchema
from services.api.use_cases.speech_order import SpeechOrder


class SpeakSchema(RequestSchema):
    """A short text to be spoken at once."""

    text = text_field(1_000_000, 1, required=True)
    voice_id = fields.UUID(required=True)
    language = text_field(35, 2, load_default=None, allow_none=True)
    output_format = fields.Enum(OutputFormat, by_value=True, load_default=OutputFormat.WAV)
    voice_settings = fields.Nested(VoiceSettingsSchema, load_default=dict)

    @post_load
    def build(self, data: dict[str, Any], **_: Any) -> SpeechOrder:
        """The order."""
        settings = VoiceSettings(**data.pop("voice_settings"))
        return SpeechOrder(voice_settings=settings, **data)


class SimpleVoiceSchema(Schema):
    """A voice in short."""

    voice_id = fields.UUID(required=True)
    name = fields.String(required=True)
    language = fields.String(required=True)
    status = fields.String(required=True)
