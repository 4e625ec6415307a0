"""The files of a voice: recording and sample."""

from __future__ import annotations

from uuid import UUID

from flask import Response
from flask.views import MethodView

from mynah.errors import NotFound
from services.api.auth.caller import current_caller
from services.api.blueprints import ApiBlueprint
from services.api.bootstrap import current_container
from services.api.downloads import send_object
from services.api.use_cases import voices

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
