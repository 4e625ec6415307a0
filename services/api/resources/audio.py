"""/api/audio: analysis, enhancement and conversion of recordings, as jobs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask.views import MethodView
from werkzeug.datastructures import FileStorage

from mynah.contracts.speech import CONTENT_TYPES
from mynah.contracts.states import JobKind
from mynah.observability.metrics import UPLOAD_BYTES
from services.api.auth.caller import current_caller
from services.api.blueprints import ApiBlueprint
from services.api.bootstrap import current_container
from services.api.downloads import send_object
from services.api.resources.tts import requester
from services.api.schemas import audio as schemas
from services.api.schemas.speech import JobQuerySchema
from services.api.texts import printable
from services.api.use_cases import audio
from services.api.use_cases.samples import Upload

blp = ApiBlueprint("audio", __name__, url_prefix="/api/audio", description="Work on recordings")

_PICTURES_AND_ZIPS = ("image/png", "image/svg+xml", "application/json", "application/zip")


@blp.route("/analyze")
class Analyze(MethodView):
    """Measurements and pictures."""

    @blp.creates("voices:write", 413)
    @blp.upload(schemas.AudioFilesSchema, schemas.AnalyzeFormSchema)
    @blp.response(202, schemas.AudioJobSchema)
    def post(self, files: dict[str, list[FileStorage]], order: audio.AudioOrder) -> Any:
        """Measure recordings: level, noise, speech, room, spectrum; and what they are good for.

        Each gets its waveform (PNG, SVG), its spectrogram (PNG) and its peaks (JSON).
        """
        return _take(files["files"], order)


@blp.route("/enhance")
class Enhance(MethodView):
    """Cleaner recordings."""

    @blp.creates("voices:write", 413)
    @blp.upload(schemas.AudioFilesSchema, schemas.EnhanceFormSchema)
    @blp.response(202, schemas.AudioJobSchema)
    def post(self, files: dict[str, list[FileStorage]], order: audio.AudioOrder) -> Any:
        """Clean recordings of speech: rumble, clicks and noise out, loudness even."""
        return _take(files["files"], order)


@blp.route("/convert")
class Convert(MethodView):
    """Other formats."""

    @blp.creates("voices:write", 413)
    @blp.upload(schemas.AudioFilesSchema, schemas.ConvertFormSchema)
    @blp.response(202, schemas.AudioJobSchema)
    def post(self, files: dict[str, list[FileStorage]], order: audio.AudioOrder) -> Any:
        """Convert recordings to another format, rate or channel count."""
        return _take(files["files"], order)


def _take(files: list[FileStorage], order: audio.AudioOrder) -> dict[str, Any]:
    container = current_container()
    desk = audio.AudioDesk(container.new_uow, container.store, container.settings)
    uploads = [_received(file) for file in files]
    job = audio.order_audio(desk, requester(), order, uploads)
    shown = schemas.show_job(job)
    UPLOAD_BYTES.inc(sum(given["size_bytes"] for given in job.request["inputs"][: len(uploads)]))
    return shown


def _received(file: FileStorage) -> Upload:
    name = printable(file.filename or "")[-200:] or "recording"
    return Upload(file.stream, name, printable(file.mimetype or "")[:100], name)  # type: ignore[arg-type]


@blp.route("/jobs")
class Jobs(MethodView):
    """The caller's jobs."""

    @blp.guarded("voices:read")
    @blp.arguments(JobQuerySchema, location="query")
    @blp.response(200, schemas.AudioJobPageSchema)
    def get(self, query: dict[str, Any]) -> Any:
        """List jobs, newest first, without their items."""
        with current_container().new_uow() as uow:
            page = uow.jobs.page(
                current_caller().user_id,
                kind=JobKind.AUDIO,
                state=query.get("status"),
                cursor=query.get("cursor"),
                limit=query["limit"],
            )
        items = [schemas.show_summary(job) for job in page.items]
        return {"items": items, "next_cursor": page.next_cursor}


@blp.route("/job/<uuid:job_id>")
class OneJob(MethodView):
    """One job."""

    @blp.guarded("voices:read")
    @blp.response(200, schemas.AudioJobSchema)
    def get(self, job_id: UUID) -> Any:
        """Show a job's state and progress, and the results that are there already."""
        with current_container().new_uow() as uow:
            job = audio.find_audio_job(uow, current_caller().user_id, job_id)
        return schemas.show_job(job)


@blp.route("/job/<uuid:job_id>/cancel")
class Cancel(MethodView):
    """The end of a job before its time."""

    @blp.guarded("voices:write", 409)
    @blp.response(200, schemas.AudioJobSchema)
    def post(self, job_id: UUID) -> Any:
        """Cancel a job; what is finished stays. Cancelling twice is no error."""
        with current_container().new_uow() as uow:
            job = audio.cancel_audio_job(uow, current_caller().user_id, job_id)
            uow.commit()
            return schemas.show_job(job)


@blp.route("/job/<uuid:job_id>/files/<string:name>")
class File(MethodView):
    """A file that a job made."""

    @blp.guarded("voices:read", 410, 416)
    @blp.sends_file(*CONTENT_TYPES.values(), *_PICTURES_AND_ZIPS)
    def get(self, job_id: UUID, name: str) -> Response:
        """Download a file of a job, whole or a range."""
        container = current_container()
        with container.new_uow() as uow:
            job = audio.find_audio_job(uow, current_caller().user_id, job_id)
        file = audio.find_file(job, name)
        return send_object(container.store, file.object_key, audio.download_name(job, file))
