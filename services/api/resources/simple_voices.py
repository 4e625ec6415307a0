"""/voices: the small API's voices; a thin layer over the same use cases."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask.views import MethodView
from flask_smorest.fields import Upload
from marshmallow import Schema, fields, validate
from werkzeug.datastructures import FileStorage

from mynah.db.models import Voice
from services.api.auth.caller import current_caller
from services.api.blueprints import ApiBlueprint
from services.api.bootstrap import current_container
from services.api.resources.samples import uploaded
from services.api.resources.voices import owner
from services.api.schemas.common import PageQuerySchema, RequestSchema, page_schema, text_field
from services.api.schemas.simple import SimpleVoiceSchema
from services.api.use_cases import voices
from services.api.use_cases.voice_uploads import clone_from_files

blp = ApiBlueprint("simple voices", __name__, url_prefix="/voices", description="Voices in short")

SimpleVoicePageSchema = page_schema(SimpleVoiceSchema, "SimpleVoicePage")


class RecordingsSchema(RequestSchema):
    """One recording or more."""

    files = fields.List(Upload(), required=True, validate=validate.Length(1, 50))


class SimpleVoiceFormSchema(RequestSchema):
    """The voice to be."""

    name = text_field(200, 1, required=True)
    language = text_field(35, 2, load_default="en")
    consent_statement = text_field(2000, 10, required=True)
    consent_given_by = text_field(200, 1, required=True)


class DeletedSchema(Schema):
    """What was deleted."""

    voice_id = fields.UUID(required=True)
    deleted = fields.Boolean(required=True)


@blp.route("")
class SimpleVoices(MethodView):
    """Voices in short."""

    @blp.guarded("voices:read")
    @blp.arguments(PageQuerySchema, location="query")
    @blp.response(200, SimpleVoicePageSchema)
    def get(self, query: dict[str, Any]) -> Any:
        """List the voices that the caller may speak as."""
        with current_container().new_uow() as uow:
            page = uow.voices.page(
                current_caller().user_id,
                filters={},
                name_contains=None,
                cursor=query.get("cursor"),
                limit=query["limit"],
            )
        return {"items": [_show(voice) for voice in page.items], "next_cursor": page.next_cursor}

    @blp.creates("voices:write", 413)
    @blp.upload(RecordingsSchema, SimpleVoiceFormSchema)
    @blp.response(202, SimpleVoiceSchema)
    def post(self, files: dict[str, list[FileStorage]], form: dict[str, str]) -> Any:
        """Upload recordings and clone a voice from them in one request."""
        container, asked = current_container(), owner()
        consent = voices.Consent(form["consent_statement"], form["consent_given_by"])
        order = voices.VoiceOrder(form["name"], form["language"], consent)
        uploads = [uploaded(file) for file in files["files"]]
        limit = container.settings.max_upload_bytes
        voice = clone_from_files(container, asked, order, uploads, limit)
        return _show(voice)


@blp.route("/<uuid:voice_id>")
class SimpleVoice(MethodView):
    """One voice in short."""

    @blp.guarded("voices:read")
    @blp.response(200, SimpleVoiceSchema)
    def get(self, voice_id: UUID) -> Any:
        """Show a voice."""
        with current_container().new_uow() as uow:
            return _show(voices.visible_voice(uow, current_caller().user_id, voice_id))

    @blp.guarded("voices:write")
    @blp.response(200, DeletedSchema)
    def delete(self, voice_id: UUID) -> Any:
        """Delete a voice."""
        container = current_container()
        with container.new_uow() as uow:
            voices.delete_voice(uow, container.store, current_caller().user_id, voice_id)
            uow.commit()
        return {"voice_id": voice_id, "deleted": True}


def _show(voice: Voice) -> dict[str, Any]:
    return {
        "voice_id": voice.id,
        "name": voice.name,
        "language": voice.language,
        "status": voice.state,
    }
