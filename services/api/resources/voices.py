"""/api/voices: clone, list, show, rename, delete; clone jobs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask.views import MethodView

from mynah.db.clock import utc_now
from services.api.auth.caller import current_caller
from services.api.blueprints import ApiBlueprint
from services.api.bootstrap import current_container
from services.api.resources.tts import requester
from services.api.schemas import voices as schemas
from services.api.use_cases import voices

blp = ApiBlueprint("voices", __name__, url_prefix="/api/voices", description="Voices")

FILTERS = ("language", "engine", "state", "visibility", "kids")


def owner() -> voices.VoiceOwner:
    """On whose behalf, in this request."""
    asked = requester()
    return voices.VoiceOwner(asked.user_id, asked.request_id)


def _filters(query: dict[str, Any], user_id: UUID) -> dict[str, object]:
    """Column and value of each filter; languages are kept in lower case."""
    filters = {name: query[name] for name in FILTERS if name in query}
    if "language" in filters:
        filters["language"] = filters["language"].lower().replace("_", "-")
    if query.get("mine"):
        filters["user_id"] = user_id
    return filters


@blp.route("")
class Voices(MethodView):
    """The caller's voices and the public ones."""

    @blp.guarded("voices:read")
    @blp.arguments(schemas.VoiceQuerySchema, location="query")
    @blp.response(200, schemas.VoicePageSchema)
    def get(self, query: dict[str, Any]) -> Any:
        """List the voices that the caller may speak as."""
        user_id = current_caller().user_id
        with current_container().new_uow() as uow:
            page = uow.voices.page(
                user_id,
                filters=_filters(query, user_id),
                name_contains=query.get("name"),
                cursor=query.get("cursor"),
                limit=query["limit"],
            )
        items = [schemas.show_voice(voice, user_id) for voice in page.items]
        return {"items": items, "next_cursor": page.next_cursor}

    @blp.creates("voices:write")
    @blp.arguments(schemas.VoiceCreateSchema)
    @blp.response(202, schemas.VoiceSchema)
    def post(self, body: tuple[voices.VoiceOrder, list[UUID]]) -> Any:
        """Clone a voice from samples. Consent is required and kept.

        The answer is the voice, not ready yet; its job tells the progress.
        """
        order, sample_ids = body
        container, asked = current_container(), owner()
        with container.new_uow() as uow:
            voice = voices.clone_voice(uow, container.settings, asked, order, sample_ids)
            uow.commit()
            return schemas.show_voice(voice, asked.user_id)


@blp.route("/<uuid:voice_id>")
class OneVoice(MethodView):
    """One voice."""

    @blp.guarded("voices:read")
    @blp.response(200, schemas.VoiceSchema)
    def get(self, voice_id: UUID) -> Any:
        """Show a voice."""
        user_id = current_caller().user_id
        with current_container().new_uow() as uow:
            return schemas.show_voice(voices.visible_voice(uow, user_id, voice_id), user_id)

    @blp.guarded("voices:write")
    @blp.arguments(schemas.VoiceChangeSchema)
    @blp.response(200, schemas.VoiceSchema)
    def patch(self, body: dict[str, str], voice_id: UUID) -> Any:
        """Rename or describe a voice."""
        user_id = current_caller().user_id
        with current_container().new_uow() as uow:
            voice = voices.owned_voice(uow, user_id, voice_id)
            for name, value in body.items():
                setattr(voice, name, value)
            voice.updated_at = utc_now()
            uow.commit()
            return schemas.show_voice(voice, user_id)

    @blp.guarded("voices:write")
    @blp.response(204)
    def delete(self, voice_id: UUID) -> None:
        """Delete a voice with every file and cached copy of it."""
        container = current_container()
        with container.new_uow() as uow:
            voices.delete_voice(uow, container.store, current_caller().user_id, voice_id)
            uow.commit()


@blp.route("/job/<uuid:job_id>")
class CloneJob(MethodView):
    """A job that makes a voice."""

    @blp.guarded("voices:read")
    @blp.response(200, schemas.CloneJobSchema)
    def get(self, job_id: UUID) -> Any:
        """Show a clone job's state and progress."""
        with current_container().new_uow() as uow:
            return schemas.show_clone_job(voices.clone_job(uow, current_caller().user_id, job_id))


@blp.route("/job/<uuid:job_id>/cancel")
class CancelClone(MethodView):
    """The end of a clone job before its time."""

    @blp.guarded("voices:write", 409)
    @blp.response(200, schemas.CloneJobSchema)
    def post(self, job_id: UUID) -> Any:
        """Cancel a clone job; its voice stays as failed until it is deleted."""
        with current_container().new_uow() as uow:
            job = voices.cancel_clone_job(uow, current_caller().user_id, job_id)
            uow.commit()
            return schemas.show_clone_job(job)
