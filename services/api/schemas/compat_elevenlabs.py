"""What ElevenLabs' clients send to have something spoken."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, pre_load, validate

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


class _DictionariesSchema(VendorSchema):
    """By which dictionaries a text is read."""

    pronunciation_dictionary_locators = fields.List(
        fields.Nested(LocatorSchema), load_default=list, validate=validate.Length(0, 3)
    )


class _SpokenSchema(_DictionariesSchema):
    """What a text and a dialogue have in common."""

    model_id = text_field(200, 1, load_default=DEFAULT_MODEL)
    language_code = text_field(35, 2)
    seed = fields.Integer(validate=validate.Range(0, _MAX_SEED))


class SpeechSchema(_SpokenSchema):
    """A text to be spoken."""

    text = text_field(_LONGEST_TEXT, 1, required=True)
    voice_settings = fields.Nested(VoiceSettingsSchema)


class SocketQuerySchema(SpeechQuerySchema):
    """How what is said on a WebSocket is to be spoken, in its address."""

    model_id = text_field(200, 1, load_default=DEFAULT_MODEL)
    language_code = text_field(35, 2)
    inactivity_timeout = fields.Float(load_default=20.0, validate=validate.Range(1, 180))
    sync_alignment = fields.Boolean(load_default=False)
    seed = fields.Integer(validate=validate.Range(0, _MAX_SEED))


class InputQuerySchema(SocketQuerySchema):
    """How a WebSocket's texts are to be spoken."""

    enable_ssml_parsing = fields.Boolean(load_default=False)
    auto_mode = fields.Boolean(load_default=False)


class GenerationConfigSchema(VendorSchema):
    """When a WebSocket's text is spoken."""

    chunk_length_schedule = fields.List(
        fields.Integer(validate=validate.Range(50, 500)), validate=validate.Length(1, 100)
    )


class _SocketMessageSchema(_DictionariesSchema):
    """What a message of a WebSocket's client may hold, of whichever socket."""

    flush = fields.Boolean(load_default=False)
    close_socket = fields.Boolean(load_default=False)
    authorization = fields.String()
    single_use_token = fields.String()


class InputMessageSchema(_SocketMessageSchema):
    """A message of a WebSocket's client. All but the text, and when to speak, counts once."""

    text = text_field(_LONGEST_TEXT)
    try_trigger_generation = fields.Boolean(load_default=False)
    voice_settings = fields.Nested(VoiceSettingsSchema)
    generation_config = fields.Nested(GenerationConfigSchema)
    key = fields.String(data_key="xi-api-key")
    # Of sockets with several contexts.
    context_id = text_field(200, load_default="default")
    close_context = fields.Boolean(load_default=False)

    @pre_load
    def take_both_spellings(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """The SDK's own type says ``contextId``, the vendor's documents ``context_id``."""
        return {"context_id": data["contextId"], **data} if "contextId" in data else data


class DialogueInputSchema(VendorSchema):
    """What one voice says."""

    text = text_field(_LONGEST_TEXT, 1, required=True)
    voice_id = text_field(200, 1, required=True)


class DialogueSettingsSchema(VendorSchema):
    """How all voices of a dialogue speak."""

    stability = fields.Float(validate=validate.Range(0, 1))


class DialogueMessageInputSchema(VendorSchema):
    """An increment of what one voice says."""

    text = text_field(_LONGEST_TEXT, required=True)
    voice_id = text_field(200, 1, required=True)
    new_turn = fields.Boolean(load_default=False)


class DialogueMessageSchema(_SocketMessageSchema):
    """A message of a client of a dialogue's WebSocket. Voices and settings are in the first."""

    inputs = fields.List(fields.Nested(DialogueMessageInputSchema), load_default=list)
    keep_alive = fields.Boolean()
    voices = fields.List(text_field(200, 1), validate=validate.Length(1, MAX_DIALOGUE_VOICES))
    voice_settings = fields.Nested(DialogueSettingsSchema)
    key = fields.String(data_key="xi_api_key")

    @pre_load
    def take_both_spellings(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """A key may be spelled as in the header, as the other sockets have it."""
        return {"xi_api_key": data["xi-api-key"], **data} if "xi-api-key" in data else data


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
