"""/v1/text-to-speech and /v1/text-to-dialogue: ElevenLabs' shape of speech."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response, jsonify

from mynah.contracts.speech import ScriptLine
from mynah.errors import InvalidRequest
from services.api.auth.caller import requires
from services.api.bootstrap import current_container
from services.api.compat.bodies import read_json, read_query
from services.api.compat.formats import ELEVENLABS_FORMATS
from services.api.compat.orders import common_fields, text_order, voices_of
from services.api.compat.speaking import Spoken, answer_file, listen, speak
from services.api.compat.timing import timed_document
from services.api.idempotency import idempotent, refuse_key
from services.api.resources.tts import requester
from services.api.schemas import compat_elevenlabs as schemas
from services.api.use_cases.speech_order import SpeechOrder

blp = Blueprint("elevenlabs speech", __name__, url_prefix="/v1")

_LINES = "application/json"


@dataclass(frozen=True, slots=True)
class _Asked:
    """An order of this request, ready to be spoken, and its length."""

    spoken: Spoken
    characters: int


@blp.post("/text-to-speech/<voice_id>")
@requires("speech:write")
@idempotent
def convert(voice_id: str) -> Response:
    """Speak a text; the answer is the finished file."""
    return _whole(_text(voice_id))


@blp.post("/text-to-speech/<voice_id>/stream")
@requires("speech:write")
def stream(voice_id: str) -> Response:
    """Speak a text; the answer comes while it is spoken."""
    return _streamed(_text(voice_id))


@blp.post("/text-to-speech/<voice_id>/with-timestamps")
@requires("speech:write")
@idempotent
def convert_with_timestamps(voice_id: str) -> Response:
    """Speak a text; the answer is a document with the audio and the characters' times."""
    return _whole_with_times(_text(voice_id))


@blp.post("/text-to-speech/<voice_id>/stream/with-timestamps")
@requires("speech:write")
def stream_with_timestamps(voice_id: str) -> Response:
    """The same while it is spoken: a document per line, for each piece."""
    return _streamed_with_times(_text(voice_id))


@blp.post("/text-to-dialogue")
@requires("speech:write")
@idempotent
def convert_dialogue() -> Response:
    """Speak a dialogue; the answer is the finished file."""
    return _whole(_dialogue())


@blp.post("/text-to-dialogue/stream")
@requires("speech:write")
def stream_dialogue() -> Response:
    """Speak a dialogue; the answer comes while it is spoken."""
    return _streamed(_dialogue())


@blp.post("/text-to-dialogue/with-timestamps")
@requires("speech:write")
@idempotent
def convert_dialogue_with_timestamps() -> Response:
    """Speak a dialogue; the answer says also which voice is heard when."""
    return _whole_with_times(_dialogue())


@blp.post("/text-to-dialogue/stream/with-timestamps")
@requires("speech:write")
def stream_dialogue_with_timestamps() -> Response:
    """The same while it is spoken: a document per line, for each piece."""
    return _streamed_with_times(_dialogue())


def _whole(asked: _Asked) -> Response:
    container = current_container()
    job = speak(container, asked.spoken)
    return _with_cost(answer_file(container, job, asked.spoken.format), asked)


def _streamed(asked: _Asked) -> Response:
    refuse_key()
    return _with_cost(listen(current_container(), asked.spoken), asked)


def _whole_with_times(asked: _Asked) -> Response:
    container = current_container()
    job = speak(container, asked.spoken)
    response = jsonify(timed_document(container, job))
    response.headers["X-Job-ID"] = str(job.id)
    return _with_cost(response, asked)


def _streamed_with_times(asked: _Asked) -> Response:
    refuse_key()
    response = listen(current_container(), asked.spoken, is_timed=True, content_type=_LINES)
    return _with_cost(response, asked)


def _with_cost(response: Response, asked: _Asked) -> Response:
    """What ElevenLabs says of every speech; a history item is a job."""
    container, user_id = current_container(), asked.spoken.requester.user_id
    running = max(container.slots.taken_by(user_id), 1)
    response.headers["character-cost"] = str(asked.characters)
    response.headers["history-item-id"] = response.headers["X-Job-ID"]
    response.headers["current-concurrent-requests"] = str(running)
    response.headers["maximum-concurrent-requests"] = str(container.settings.max_streams_per_user)
    return response


def _text(voice_id: str) -> _Asked:
    body = read_json(schemas.SpeechSchema)
    order = text_order(current_container(), requester().user_id, voice_id, body)
    return _asked(order, len(body["text"]))


def _dialogue() -> _Asked:
    body = read_json(schemas.DialogueSchema)
    inputs = body["inputs"]
    names = list(dict.fromkeys(line["voice_id"] for line in inputs))
    if len(names) > schemas.MAX_DIALOGUE_VOICES:
        message = f"A dialogue has {schemas.MAX_DIALOGUE_VOICES} voices at most."
        raise InvalidRequest("The request is not valid.", fields={"inputs": [message]})
    container = current_container()
    found = dict(zip(names, voices_of(container, requester().user_id, names), strict=True))
    script = tuple(
        ScriptLine(voice_id=found[line["voice_id"]].id, text=line["text"]) for line in inputs
    )
    order = SpeechOrder(
        text="",
        voice_id=script[0].voice_id,
        script=script,
        voice_settings=schemas.engine_settings(body.get("settings", {})),
        **common_fields(container, body),
    )
    return _asked(order, sum(len(line.text) for line in script))


def _asked(order: SpeechOrder, characters: int) -> _Asked:
    query = read_query(schemas.SpeechQuerySchema)
    return _Asked(
        Spoken(requester(), order, ELEVENLABS_FORMATS[query["output_format"]]), characters
    )
