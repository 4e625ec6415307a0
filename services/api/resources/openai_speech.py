"""/v1/audio/speech and its Azure twin: OpenAI's shape of speech."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response

from mynah.contracts.speech import VoiceSettings
from mynah.errors import InvalidRequest
from services.api.auth.caller import requires
from services.api.bootstrap import current_container
from services.api.compat.bodies import read_json
from services.api.compat.formats import OPENAI_FORMATS
from services.api.compat.speaking import Spoken, answer_file, listen, speak
from services.api.compat.vendors import Vendor
from services.api.idempotency import has_key, idempotent, refuse_key
from services.api.resources.tts import requester
from services.api.schemas.compat_openai import SpeechSchema
from services.api.use_cases.speech_order import SpeechOrder

blp = Blueprint("openai speech", __name__)

_EVENTS = "text/event-stream"


@blp.post("/v1/audio/speech")
@requires("speech:write")
@idempotent
def create_speech() -> Response:
    """Speak a text."""
    body = read_json(SpeechSchema)
    if "model" not in body:
        message = "Missing data for required field."
        raise InvalidRequest("The request is not valid.", fields={"model": [message]})
    return _answer(body)


@blp.post("/openai/deployments/<deployment>/audio/speech")
@requires("speech:write")
@idempotent
def create_speech_of_deployment(deployment: str) -> Response:
    """The same as OpenAI's clients for Azure ask: the deployment is the model."""
    return _answer({**read_json(SpeechSchema), "model": deployment})


def _answer(body: dict[str, Any]) -> Response:
    container, asked = current_container(), requester()
    names = container.names[Vendor.OPENAI]
    names.engine(container.settings, body["model"])
    with container.new_uow() as uow:
        voice = names.voice(uow, asked.user_id, body["voice"])
    order = SpeechOrder(
        text=body["input"], voice_id=voice.id, voice_settings=VoiceSettings(speed=body["speed"])
    )
    spoken = Spoken(asked, order, OPENAI_FORMATS[body["response_format"]])
    if body["stream_format"] == "audio":
        if has_key():  # a finished file can be given again
            return answer_file(container, speak(container, spoken), spoken.format)
        return listen(container, spoken)
    refuse_key()
    events = _Events(characters=len(body["input"]))
    return listen(container, spoken, dressing=events.iter, content_type=_EVENTS)


@dataclass(frozen=True, slots=True)
class _Events:
    """Audio as server-sent events, at the end what it used: here characters are what counts."""

    characters: int

    def iter(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The events."""
        for chunk in chunks:
            if chunk:
                audio = base64.b64encode(chunk).decode()
                yield _event({"type": "speech.audio.delta", "audio": audio})
        usage = {
            "input_tokens": self.characters,
            "output_tokens": 0,
            "total_tokens": self.characters,
        }
        yield _event({"type": "speech.audio.done", "usage": usage})


def _event(document: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(document)}\n\n".encode()
