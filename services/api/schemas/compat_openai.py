"""What OpenAI's clients send, and how what they asked for is shown to them."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from mynah.db.models import Voice, VoiceConsent
from services.api.compat.bodies import VendorSchema
from services.api.compat.formats import OPENAI_FORMATS
from services.api.schemas.common import text_field

MAX_INPUT_CHARACTERS = 4096
#: The engines' range; what OpenAI allows beyond it is spoken at its ends.
_SLOWEST, _FASTEST = 0.5, 2.0
_NAME_CHARACTERS = 200
_OWNER = "mynah"


class VoiceName(fields.Field[str]):
    """A voice: its name or id, or an object with its id."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        named = value.get("id") if isinstance(value, dict) else value
        if not isinstance(named, str) or not 1 <= len(named) <= _NAME_CHARACTERS:
            raise ValidationError("Must be a voice's name or id, or an object with its id.")
        return named


class SpeechSchema(VendorSchema):
    """POST /v1/audio/speech."""

    model = text_field(_NAME_CHARACTERS, 1)
    input = text_field(MAX_INPUT_CHARACTERS, 1, required=True)
    voice = VoiceName(required=True)
    # Taken and left: the engines have no ear for them.
    instructions = text_field(MAX_INPUT_CHARACTERS)
    response_format = fields.String(
        load_default="mp3", validate=validate.OneOf(tuple(OPENAI_FORMATS))
    )
    speed = fields.Float(load_default=1.0, validate=validate.Range(0.25, 4.0))
    stream_format = fields.String(load_default="audio", validate=validate.OneOf(("audio", "sse")))

    @post_load
    def fit_speed(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Bring the speed into the engines' range."""
        return {**data, "speed": min(max(data["speed"], _SLOWEST), _FASTEST)}


class VoiceFormSchema(VendorSchema):
    """POST /v1/audio/voices, from a recording."""

    name = text_field(_NAME_CHARACTERS, 1, required=True)
    consent = text_field(_NAME_CHARACTERS, 1, required=True)
    type = fields.String(
        load_default="audio_sample",
        validate=validate.OneOf(
            ("audio_sample",), error="Voices are made from an audio_sample here, not described."
        ),
    )


class ConsentFormSchema(VendorSchema):
    """POST /v1/audio/voice_consents."""

    name = text_field(_NAME_CHARACTERS, 1, required=True)
    language = text_field(35, 2, required=True)


class ConsentChangeSchema(VendorSchema):
    """POST /v1/audio/voice_consents/{id}."""

    name = text_field(_NAME_CHARACTERS, 1, required=True)


class PageQuerySchema(VendorSchema):
    """A page of a list."""

    after = fields.UUID()
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))


def show_model(model_id: str) -> dict[str, Any]:
    """A model."""
    return {"id": model_id, "object": "model", "created": 0, "owned_by": _OWNER}


def show_voice(voice: Voice) -> dict[str, Any]:
    """A custom voice."""
    return {
        "id": str(voice.id),
        "object": "audio.voice",
        "created_at": int(voice.created_at.timestamp()),
        "name": voice.name,
        "type": "audio_sample",
    }


def show_consent(consent: VoiceConsent) -> dict[str, Any]:
    """A recorded consent."""
    return {
        "id": str(consent.id),
        "object": "audio.voice_consent",
        "created_at": int(consent.created_at.timestamp()),
        "name": consent.name,
        "language": consent.language,
    }


def show_deleted(kind: str, thing_id: str) -> dict[str, Any]:
    """What was deleted."""
    return {"id": thing_id, "object": kind, "deleted": True}
