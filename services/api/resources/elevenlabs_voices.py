"""/v1/voices and /v2/voices: ElevenLabs' shape of voices, their settings and recordings."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request

from mynah.contracts.states import VoiceState
from mynah.db.clock import utc_now
from mynah.db.models import Sample, Voice
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import InvalidRequest, NotFound
from services.api.auth.caller import current_caller, requires
from services.api.bootstrap import current_container
from services.api.compat.bodies import read_form, read_json, read_query
from services.api.compat.vendors import Vendor
from services.api.downloads import send_object
from services.api.idempotency import idempotent
from services.api.resources.samples import uploaded
from services.api.resources.voices import owner
from services.api.schemas import compat_elevenlabs_voices as schemas
from services.api.schemas.compat_elevenlabs import VoiceSettingsSchema
from services.api.use_cases import samples, voices
from services.api.use_cases.vendor_settings import DEFAULT_SETTINGS, change_settings, settings_of
from services.api.use_cases.voice_uploads import clone_from_files, finished_voice

blp = Blueprint("elevenlabs voices", __name__)

DONE = {"status": "ok"}
_USUAL_LANGUAGE = "en"
_OWN_TYPES = ("personal", "workspace", "non-default", "saved")
_CONSENT = (
    "Whoever added this voice through the ElevenLabs-shaped API confirmed, by the terms of this "
    "platform, to have the right and the speaker's consent to clone it."
)


@blp.get("/v1/voices")
@requires("voices:read")
def list_voices() -> dict[str, Any]:
    """List all voices that the caller may speak as."""
    with current_container().new_uow() as uow:
        found = uow.voices.every(current_caller().user_id, VoiceState.READY)
        return {"voices": _show_all(uow, list(found))}


@blp.get("/v2/voices")
@requires("voices:read")
def search_voices() -> dict[str, Any]:
    """Search among the same voices, in pages."""
    query = read_query(schemas.SearchQuerySchema)
    ids = request.args.getlist("voice_ids")
    with current_container().new_uow() as uow:
        every = uow.voices.every(current_caller().user_id, VoiceState.READY)
        found = [voice for voice in every if _is_wanted(voice, query, ids)]
        by_name = query["sort"] == "name"
        found.sort(
            key=lambda voice: voice.name.lower() if by_name else voice.id.hex,
            reverse=query.get("sort_direction", "asc" if by_name else "desc") == "desc",
        )
        start, stop = query["next_page_token"], query["next_page_token"] + query["page_size"]
        has_more = stop < len(found)
        return {
            "voices": _show_all(uow, found[start:stop]),
            "has_more": has_more,
            "total_count": len(found),
            "next_page_token": str(stop) if has_more else None,
        }


@blp.post("/v1/voices/add")
@requires("voices:write")
@idempotent
def add_voice() -> dict[str, Any]:
    """Make a voice from recordings; it is ready when this answers.

    ElevenLabs asks for no consent: what is noted says so, in the name of the account. The
    voice's language is that of the label ``language``, else English.
    """
    form, container, asked = read_form(schemas.VoiceFormSchema), current_container(), owner()
    files = [file for file in request.files.getlist("files") if file]
    if not files:
        message = "Missing data for required field."
        raise InvalidRequest("The request is not valid.", fields={"files": [message]})
    with container.new_uow() as uow:
        user = uow.users.get(asked.user_id)
    given_by = (user.name or user.email) if user else str(asked.user_id)
    order = voices.VoiceOrder(
        form["name"],
        form["labels"].get("language", _USUAL_LANGUAGE),
        voices.Consent(_CONSENT, given_by),
        description=form["description"],
    )
    limit = container.settings.max_upload_bytes
    voice = clone_from_files(container, asked, order, [uploaded(file) for file in files], limit)
    made = finished_voice(container, asked, voice)
    with container.new_uow() as uow:
        labelled = voices.owned_voice(uow, asked.user_id, made.id)
        labelled.facts = {**labelled.facts, schemas.LABELS_FACT: form["labels"]}
        uow.commit()
    return schemas.show_new_voice(made)


@blp.get("/v1/voices/<voice_id>")
@requires("voices:read")
def get_voice(voice_id: str) -> dict[str, Any]:
    """Show a voice."""
    with current_container().new_uow() as uow:
        return _show_all(uow, [_visible(uow, voice_id)])[0]


@blp.delete("/v1/voices/<voice_id>")
@requires("voices:write")
def delete_voice(voice_id: str) -> dict[str, str]:
    """Delete a voice of the caller's."""
    container = current_container()
    with container.new_uow() as uow:
        found = _visible(uow, voice_id)
        voices.delete_voice(uow, container.store, current_caller().user_id, found.id)
        uow.commit()
    return DONE


@blp.post("/v1/voices/<voice_id>/edit")
@requires("voices:write")
def edit_voice(voice_id: str) -> dict[str, str]:
    """Rename, describe or label a voice. Its recordings stay as they are."""
    form = read_form(schemas.VoiceChangeSchema)
    if any(request.files.getlist("files")):
        message = "A voice keeps its recordings; add a new voice."
        raise InvalidRequest("The request is not valid.", fields={"files": [message]})
    with current_container().new_uow() as uow:
        voice = _owned(uow, voice_id)
        voice.name = form["name"]
        voice.description = form.get("description", voice.description)
        if "labels" in form:
            voice.facts = {**voice.facts, schemas.LABELS_FACT: form["labels"]}
        voice.updated_at = utc_now()
        uow.commit()
    return DONE


@blp.get("/v1/voices/settings/default")
@requires("voices:read")
def default_settings() -> dict[str, Any]:
    """Show how a voice speaks of which nothing else is said."""
    return DEFAULT_SETTINGS


@blp.get("/v1/voices/<voice_id>/settings")
@requires("voices:read")
def get_settings(voice_id: str) -> dict[str, Any]:
    """Show how a voice speaks unless a request says otherwise."""
    with current_container().new_uow() as uow:
        return settings_of(_visible(uow, voice_id))


@blp.post("/v1/voices/<voice_id>/settings/edit")
@requires("voices:write")
def edit_settings(voice_id: str) -> dict[str, str]:
    """Change how a voice speaks unless a request says otherwise."""
    changes = read_json(VoiceSettingsSchema)
    with current_container().new_uow() as uow:
        change_settings(_owned(uow, voice_id), changes)
        uow.commit()
    return DONE


@blp.get("/v1/voices/<voice_id>/samples/<sample_id>/audio")
@requires("voices:read")
def sample_audio(voice_id: str, sample_id: str) -> Response:
    """Send a recording of a voice as it was uploaded."""
    container = current_container()
    with container.new_uow() as uow:
        sample = _sample(uow, voice_id, sample_id)
    response = send_object(container.store, sample.object_key, sample.filename)
    # The type that the uploader claimed is not repeated: browsers would act on it.
    response.content_type = "application/octet-stream"
    return response


@blp.delete("/v1/voices/<voice_id>/samples/<sample_id>")
@requires("voices:write")
def delete_sample(voice_id: str, sample_id: str) -> dict[str, str]:
    """Delete a recording of a voice; the voice stays."""
    container = current_container()
    with container.new_uow() as uow:
        sample = _sample(uow, voice_id, sample_id)
        samples.delete_sample(uow, container.store, current_caller().user_id, sample.id)
        uow.commit()
    return DONE


def _show_all(uow: UnitOfWork, found: list[Voice]) -> list[dict[str, Any]]:
    user_id, base = current_caller().user_id, current_container().settings.public_url
    recordings = uow.voices.samples_by_voice([v.id for v in found if v.user_id == user_id])
    return [schemas.show_voice(v, recordings.get(v.id, []), user_id, base) for v in found]


def _is_wanted(voice: Voice, query: dict[str, Any], ids: list[str]) -> bool:
    text = f"{voice.name} {voice.description} {schemas.labels_of(voice)}".lower()
    wanted = {
        "category": schemas.category_of(voice),
        "language": voice.language.partition("-")[0],
    }
    return (
        query["search"].lower() in text
        and all(query.get(name, value) == value for name, value in wanted.items())
        and _is_of_type(voice, query.get("voice_type"))
        and "collection_id" not in query  # there are none
        and (not ids or str(voice.id) in ids)
    )


def _is_of_type(voice: Voice, kind: str | None) -> bool:
    if kind is None:
        return True
    return kind in _OWN_TYPES if voice.user_id is not None else kind == "default"


def _visible(uow: UnitOfWork, name: str) -> Voice:
    """A voice by its id, ready or not, or by a name of the table. Raises NotFound."""
    container, user_id = current_container(), current_caller().user_id
    try:
        return voices.visible_voice(uow, user_id, UUID(name))
    except ValueError:
        return container.names[Vendor.ELEVENLABS].voice(uow, user_id, name)


def _owned(uow: UnitOfWork, name: str) -> Voice:
    return voices.owned_voice(uow, current_caller().user_id, _visible(uow, name).id)


def _sample(uow: UnitOfWork, voice_id: str, sample_id: str) -> Sample:
    """A recording of a voice of the caller's. Raises NotFound."""
    voice = _owned(uow, voice_id)
    for sample in uow.voices.samples_of(voice.id):
        if str(sample.id) == sample_id.lower():
            return sample
    raise NotFound("The voice has no such sample.", code="sample_not_found")
