"""/v1/audio/voices and /v1/audio/voice_consents: OpenAI's shape of custom voices."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, request
from werkzeug.datastructures import FileStorage

from mynah.contracts.states import VoiceState
from mynah.db.models import VoiceConsent
from mynah.errors import InvalidRequest, NotFound
from services.api.auth.caller import current_caller, requires
from services.api.bootstrap import current_container
from services.api.compat.bodies import read_form, read_json, read_query
from services.api.compat.vendors import Vendor
from services.api.idempotency import idempotent
from services.api.resources.samples import uploaded
from services.api.resources.voices import owner
from services.api.schemas import compat_openai as schemas
from services.api.use_cases import consents, voices
from services.api.use_cases.voice_uploads import clone_from_files, finished_voice

blp = Blueprint("openai voices", __name__, url_prefix="/v1/audio")

MAX_RECORDING_BYTES = 10 * 1024 * 1024


@blp.get("/voices")
@requires("voices:read")
def list_voices() -> dict[str, Any]:
    """Every voice that can be named: the table's names, then the caller's and the public ones.

    OpenAI has no such route; Open WebUI and others ask for it in this shape.
    """
    container, user_id = current_container(), current_caller().user_id
    shown = [{"id": name, "name": name} for name in container.names[Vendor.OPENAI].voices]
    with container.new_uow() as uow:
        found = uow.voices.every(user_id, VoiceState.READY)
    return {"voices": [*shown, *({"id": str(one.id), "name": one.name} for one in found)]}


@blp.post("/voices")
@requires("voices:write")
@idempotent
def create_voice() -> dict[str, Any]:
    """Make a voice from a recording, with a consent that was recorded before."""
    if request.is_json:  # the variant that describes a voice in words: its own check refuses it
        read_json(schemas.VoiceFormSchema)
        raise InvalidRequest("Send the form of an audio_sample.", code="unsupported_voice_type")
    form, container, asked = read_form(schemas.VoiceFormSchema), current_container(), owner()
    recording = uploaded(_file("audio_sample"), form["name"])
    with container.new_uow() as uow:
        consent = consents.find_consent(uow, asked.user_id, _id(form["consent"], "consent"))
    order = voices.VoiceOrder(form["name"], consent.language, _consent_of(consent))
    voice = clone_from_files(container, asked, order, [recording], MAX_RECORDING_BYTES)
    return schemas.show_voice(finished_voice(container, asked, voice))


@blp.delete("/voices/<voice_id>")
@requires("voices:write")
def delete_voice(voice_id: str) -> dict[str, Any]:
    """Delete a voice of the caller's."""
    container = current_container()
    with container.new_uow() as uow:
        found = _id(voice_id, "voice")
        voices.delete_voice(uow, container.store, current_caller().user_id, found)
        uow.commit()
    return schemas.show_deleted("audio.voice", voice_id)


@blp.post("/voice_consents")
@requires("voices:write")
@idempotent
def create_consent() -> dict[str, Any]:
    """Keep a recorded consent."""
    form = read_form(schemas.ConsentFormSchema)
    consent = consents.record_consent(
        current_container(),
        owner(),
        uploaded(_file("recording"), form["name"]),
        language=form["language"],
        max_bytes=MAX_RECORDING_BYTES,
    )
    return schemas.show_consent(consent)


@blp.get("/voice_consents")
@requires("voices:read")
def list_consents() -> dict[str, Any]:
    """List consents, newest first."""
    query = read_query(schemas.PageQuerySchema)
    with current_container().new_uow() as uow:
        page = uow.consents.page(
            current_caller().user_id, cursor=query.get("after"), limit=query["limit"]
        )
    data = [schemas.show_consent(consent) for consent in page.items]
    return {
        "object": "list",
        "data": data,
        "has_more": page.next_cursor is not None,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }


@blp.get("/voice_consents/<consent_id>")
@requires("voices:read")
def get_consent(consent_id: str) -> dict[str, Any]:
    """Show a consent."""
    with current_container().new_uow() as uow:
        found = _id(consent_id, "consent")
        return schemas.show_consent(consents.find_consent(uow, current_caller().user_id, found))


@blp.post("/voice_consents/<consent_id>")
@requires("voices:write")
def rename_consent(consent_id: str) -> dict[str, Any]:
    """Rename a consent."""
    body = read_json(schemas.ConsentChangeSchema)
    with current_container().new_uow() as uow:
        found = _id(consent_id, "consent")
        consent = consents.find_consent(uow, current_caller().user_id, found)
        consent.name = body["name"]
        uow.commit()
        return schemas.show_consent(consent)


@blp.delete("/voice_consents/<consent_id>")
@requires("voices:write")
def delete_consent(consent_id: str) -> dict[str, Any]:
    """Delete a consent with its recording; voices that were made with it stay."""
    container = current_container()
    with container.new_uow() as uow:
        found = _id(consent_id, "consent")
        consents.delete_consent(uow, container.store, current_caller().user_id, found)
        uow.commit()
    return schemas.show_deleted("audio.voice_consent", consent_id)


def _file(name: str) -> FileStorage:
    file = request.files.get(name)
    if file is None:
        message = "Missing data for required field."
        raise InvalidRequest("The request is not valid.", fields={name: [message]})
    return file


def _id(text: str, kind: str) -> UUID:
    """An id as it was given out. Raises NotFound for anything else."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"There is no such {kind}.", code=f"{kind}_not_found") from None


def _consent_of(consent: VoiceConsent) -> voices.Consent:
    """What a voice notes of a recorded consent."""
    statement = f"Spoken consent {consent.id} in {consent.language}, kept as {consent.sample_id}."
    return voices.Consent(statement, consent.name)
