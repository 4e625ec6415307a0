"""/api/samples: uploaded recordings."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask.views import MethodView
from marshmallow import fields
from werkzeug.datastructures import FileStorage

from mynah.observability.metrics import UPLOAD_BYTES
from services.api.auth.caller import current_caller
from services.api.blueprints import ApiBlueprint
from services.api.bootstrap import current_container
from services.api.downloads import send_object
from services.api.resources.tts import requester
from services.api.schemas import samples as schemas
from services.api.texts import printable
from services.api.use_cases import samples

blp = ApiBlueprint("samples", __name__, url_prefix="/api/samples", description="Recordings")


class StoredSampleSchema(schemas.SampleSchema):
    """A new sample and the job that measures it."""

    job_id = fields.UUID(required=True)


@blp.route("")
class Samples(MethodView):
    """The caller's recordings."""

    @blp.guarded("voices:read")
    @blp.arguments(schemas.SampleQuerySchema, location="query")
    @blp.response(200, schemas.SamplePageSchema)
    def get(self, query: dict[str, Any]) -> Any:
        """List recordings, newest first."""
        with current_container().new_uow() as uow:
            page = uow.samples.page(
                current_caller().user_id,
                state=query.get("state"),
                cursor=query.get("cursor"),
                limit=query["limit"],
            )
        items = [schemas.show_sample(sample) for sample in page.items]
        return {"items": items, "next_cursor": page.next_cursor}

    @blp.creates("voices:write", 413)
    @blp.upload(schemas.SampleFileSchema, schemas.SampleFormSchema)
    @blp.response(201, StoredSampleSchema)
    def post(self, files: dict[str, FileStorage], form: dict[str, str]) -> Any:
        """Upload a recording: WAV, MP3, M4A, FLAC, OGG or WebM, told by its content.

        It is kept untouched; ``measurements`` and ``verdict`` follow within seconds.
        """
        container, asked = current_container(), requester()
        stored = samples.store_sample(
            container.new_uow,
            container.store,
            uploaded(files["file"], form["name"]),
            user_id=asked.user_id,
            request_id=asked.request_id,
            max_bytes=container.settings.max_upload_bytes,
        )
        UPLOAD_BYTES.inc(stored.sample.size_bytes)
        return {**schemas.show_sample(stored.sample), "job_id": stored.job.id}


def uploaded(file: FileStorage, name: str = "") -> samples.Upload:
    """A file of a form as a recording; ``name`` empty: called as the file is."""
    return samples.Upload(
        file=file.stream,  # type: ignore[arg-type]  # a spooled file
        filename=printable(file.filename or "")[-200:] or "recording",
        content_type=printable(file.mimetype or "")[:100],
        name=name,
    )


@blp.route("/<uuid:sample_id>")
class OneSample(MethodView):
    """One recording."""

    @blp.guarded("voices:read")
    @blp.response(200, schemas.SampleSchema)
    def get(self, sample_id: UUID) -> Any:
        """Show a recording, its measurements and the verdict on it."""
        with current_container().new_uow() as uow:
            sample = samples.find_sample(uow, current_caller().user_id, sample_id)
            return schemas.show_sample(sample)

    @blp.guarded("voices:write")
    @blp.response(204)
    def delete(self, sample_id: UUID) -> None:
        """Delete a recording. Voices that were made from it stay."""
        container = current_container()
        with container.new_uow() as uow:
            samples.delete_sample(uow, container.store, current_caller().user_id, sample_id)
            uow.commit()


@blp.route("/<uuid:sample_id>/audio")
class SampleAudio(MethodView):
    """The original."""

    @blp.guarded("voices:read", 416)
    @blp.sends_file("application/octet-stream")
    def get(self, sample_id: UUID) -> Response:
        """Download the recording as it was uploaded."""
        container = current_container()
        with container.new_uow() as uow:
            sample = samples.find_sample(uow, current_caller().user_id, sample_id)
        response = send_object(container.store, sample.object_key, sample.filename)
        # The type that the uploader claimed is not repeated: browsers would act on it.
        response.content_type = "application/octet-stream"
        return response
