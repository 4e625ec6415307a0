"""/api/tts/job/{id}/renditions: a finished job in other formats."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask.views import MethodView

from mynah.audio.formats import OutputSpec
from mynah.contracts.speech import CONTENT_TYPES
from mynah.contracts.states import JobState
from services.api.auth.caller import current_caller
from services.api.blueprints import ApiBlueprint
from services.api.bootstrap import current_container
from services.api.downloads import send_object
from services.api.resources.tts import requester
from services.api.schemas import renditions as schemas
from services.api.use_cases import renditions, speech

blp = ApiBlueprint("renditions", __name__, url_prefix="/api/tts/job", description="Other formats")


@blp.route("/<uuid:job_id>/renditions")
class Renditions(MethodView):
    """The other formats of a job."""

    @blp.guarded("speech:read")
    @blp.response(200, schemas.RenditionListSchema)
    def get(self, job_id: UUID) -> Any:
        """List a job's renditions, oldest first."""
        with current_container().new_uow() as uow:
            made = renditions.list_renditions(uow, current_caller().user_id, job_id)
        return {"items": [schemas.show_rendition(one) for one in made]}

    @blp.creates("speech:write", 410)
    @blp.arguments(schemas.RenditionWishSchema)
    @blp.response(200, schemas.RenditionSchema)
    @blp.alt_response(202, schema=schemas.RenditionSchema, description="It is being made.")
    def post(self, spec: OutputSpec, job_id: UUID) -> Any:
        """Ask for a finished job in another format.

        200: it is there. 202: it is being made; list until it is completed. It is made once,
        from the job's output, and kept as long as that. Chapters and tags are kept.
        """
        with current_container().new_uow() as uow:
            made = renditions.order_rendition(uow, requester(), job_id, spec)
            uow.commit()
            shown = schemas.show_rendition(made)
        return shown, 200 if shown["status"] == JobState.COMPLETED else 202


@blp.route("/<uuid:job_id>/renditions/<uuid:rendition_id>/download")
class RenditionDownload(MethodView):
    """A rendition itself."""

    @blp.guarded("speech:read", 409, 410, 416)
    @blp.sends_file(*CONTENT_TYPES.values())
    def get(self, job_id: UUID, rendition_id: UUID) -> Response:
        """Download a rendition, whole or a range."""
        container = current_container()
        user_id = current_caller().user_id
        with container.new_uow() as uow:
            _, job = renditions.find_rendition(uow, user_id, job_id, rendition_id)
            key = renditions.rendition_output(job)
            spoken = speech.find_speech_job(uow, user_id, job_id)
        name = speech.output_filename(spoken, str(job.output_format))
        return send_object(container.store, key, name)
