"""The files of a voice: recording, sample, and the whole voice as one file out and in."""

from __future__ import annotations

import os
from typing import Any
from uuid import UUID

from flask import Response, send_file
from flask.views import MethodView
from werkzeug.datastructures import FileStorage

from mynah.contracts.states import VoiceState
from mynah.errors import NotFound, PayloadTooLarge
from services.api.auth.caller import current_caller
from services.api.blueprints import ApiBlueprint
from services.api.bootstrap import current_container
from services.api.downloads import filename_parameters, send_object
from services.api.resources.voices import owner
from services.api.schemas import voices as schemas
from services.api.use_cases import voice_bundle, voice_import, voices

blp = ApiBlueprint("voice files", __name__, url_prefix="/api/voices", description="Voice files")


def _send(voice_id: UUID, role: str, label: str) -> Response:
    container = current_container()
    with container.new_uow() as uow:
        voice = voices.visible_voice(uow, current_caller().user_id, voice_id)
    key = voice.objects.get(role)
    if key is None:
        raise NotFound(f"The voice has no {label}.", code="voice_file_not_found")
    return send_object(container.store, str(key), f"{voice.name} {label}.mp3")


@blp.route("/<uuid:voice_id>/recording")
class Recording(MethodView):
    """What the voice was made from."""

    @blp.guarded("voices:read", 416)
    @blp.sends_file("audio/mpeg")
    def get(self, voice_id: UUID) -> Response:
        """Download the recording as 160 kbit/s MP3."""
        return _send(voice_id, "recorded", "recording")


@blp.route("/<uuid:voice_id>/sample")
class SpokenSample(MethodView):
    """How the voice sounds."""

    @blp.guarded("voices:read", 416)
    @blp.sends_file("audio/mpeg")
    def get(self, voice_id: UUID) -> Response:
        """Download the spoken sample as 96 kbit/s MP3."""
        return _send(voice_id, "spoken_sample", "sample")


@blp.route("/<uuid:voice_id>/export")
class Export(MethodView):
    """A voice to take along."""

    @blp.guarded("voices:read", 409)
    @blp.sends_file("application/zip")
    def get(self, voice_id: UUID) -> Response:
        """Download the voice as one bundle: every file of it, its fields and its consent."""
        container = current_container()
        with container.new_uow() as uow:
            voice = voices.owned_voice(uow, current_caller().user_id, voice_id)
        bundle = voice_bundle.write_bundle(container.store, voice)
        response = send_file(bundle, mimetype="application/zip", max_age=0)
        name = filename_parameters(f"{voice.name}.voice.zip")
        response.headers["Content-Disposition"] = f"attachment; {name}"
        return response


@blp.route("/import")
class Import(MethodView):
    """A voice that was made elsewhere."""

    @blp.creates("voices:write", 413)
    @blp.upload(schemas.BundleFileSchema, schemas.ImportFormSchema)
    @blp.response(201, schemas.VoiceSchema)
    @blp.alt_response(202, schema=schemas.VoiceSchema, description="A job makes what it lacks.")
    def post(self, files: dict[str, FileStorage], order: voice_import.ImportOrder) -> Any:
        """Make a voice from an exported bundle or a ready voice file.

        A voice file is ``.npy`` (reference audio; send its ``sample_rate``), ``.safetensors``
        (an engine's profile) or ``.pth`` (either, as tensors); send name, language and consent
        with it. Nothing in a file is run. 201: the voice is ready; 202: a job finishes it.
        """
        container, asked = current_container(), owner()
        limit = container.settings.max_import_bytes
        file = files["file"].stream
        if file.seek(0, os.SEEK_END) > limit:
            raise PayloadTooLarge(f"The file is larger than {limit} bytes.")
        file.seek(0)
        voice = voice_import.import_voice(
            container.new_uow,
            container.store,
            container.settings,
            asked,
            order=order,
            file=file,  # type: ignore[arg-type]  # a spooled file
        )
        status = 201 if voice.state == VoiceState.READY else 202
        return schemas.show_voice(voice, asked.user_id), status
