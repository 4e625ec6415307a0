"""What ElevenLabs' clients send to have something spoken."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from mynah.contracts.speech import VoiceSettings
from services.api.compat.bodies import VendorSchema
from services.api.compat.formats import ELEVENLABS_DEFAULT, ELEVENLABS_FORMATS
from services.api.schemas.common import text_field

DEFAULT_MODEL = "eleven_multilingual_v2"
MAX_DIALOGUE_VOICES = 10
#: The engines' range; what lies beyond it is spoken at its ends.
_SLOWEST, _FASTEST = 0.5, 2.0
_MAX_SEED = 2**32 - 1
# Above any limit on texts, which the use case checks with a message of its own.
_LONGEST_TEXT = 1_000_000
_MAX_INPUTS = 10_000


class SpeechQuerySchema(VendorSchema):
    """The query of all routes that speak."""

    output_format = fields.String(
        load_default=ELEVENLABS_DEFAULT, validate=validate.OneOf(tuple(ELEVENLABS_FORMATS))
    )
    # Taken and left: all speech is kept as jobs, and sent as soon as it is there.
    enable_logging = fields.Boolean()
    optimize_streaming_latency = fields.Integer(validate=validate.Range(0, 4))


class VoiceSettingsSchema(VendorSchema):
    """How to speak."""

    stability = fields.Float(validate=validate.Range(0, 1))
    similarity_boost = fields.Float(validate=validate.Range(0, 1))
    style = fields.Float(validate=validate.Range(0, 1))
    speed = fields.Float(validate=validate.Range(0.25, 4.0))
    use_speaker_boost = fields.Boolean()


class LocatorSchema(VendorSchema):
    """A pronunciation dictionary in a version; without one, the latest."""

    pronunciation_dictionary_id = fields.UUID(required=True)
    version_id = fields.String()


class _SpokenSchema(VendorSchema):
    """What a text and a dialogue have in common."""

    model_id = text_field(200, 1, load_default=DEFAULT_MODEL)
    language_code = text_field(35, 2)
    pronunciation_dictionary_locators = fields.List(
        fields.Nested(LocatorSchema), load_default=list, validate=validate.Length(0, 3)
    )
    seed = fields.Integer(validate=validate.Range(0, _MAX_SEED))


class SpeechSchema(_SpokenSchema):
    """A text to be spoken."""

    text = text_field(_LONGEST_TEXT, 1, required=True)
    voice_settings = fields.Nested(VoiceSettingsSchema)


class DialogueInputSchema(VendorSchema):
    """What one voice says."""

    text = text_field(_LONGEST_TEXT, 1, required=True)
    voice_id = text_field(200, 1, required=True)


class DialogueSettingsSchema(VendorSchema):
    """How all voices of a dialogue speak."""

    stability = fields.Float(validate=validate.Range(0, 1))


class DialogueSchema(_SpokenSchema):
    """A dialogue to be spoken."""

    inputs = fields.List(
        fields.Nested(DialogueInputSchema),
        required=True,
        validate=validate.Length(1, _MAX_INPUTS),
    )
    settings = fields.Nested(DialogueSettingsSchema)


def engine_settings(settings: dict[str, Any]) -> VoiceSettings:
    """Settings as the engines take them: their range of speed, and what they know of the rest."""
    known = {name: settings[name] for name in VoiceSettings.model_fields if name in settings}
    if "speed" in known:
        known["speed"] = min(max(known["speed"], _SLOWEST), _FASTEST)
    return VoiceSettings(**known)
