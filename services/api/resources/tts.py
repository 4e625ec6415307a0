"""/api/tts: speech jobs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import structlog
from flask import Response, url_for
from flask.views import MethodView

from mynah.contracts.speech import CONTENT_TYPES, OutputFormat
from mynah.contracts.states import JobKind
from services.api.auth.caller import current_caller
from services.api.blueprints import ApiBlueprint
from services.api.bootstrap import current_container
from services.api.downloads import send_object
from services.api.schemas import speech as schemas
from services.api.use_cases import renditions, speech
from services.api.use_cases.speech_order import SpeechOrder

blp = ApiBlueprint("speech", __name__, url_prefix="/api/tts", description="Speech jobs")


def requester() -> speech.Requester:
    """Who asks, in this request."""
    caller = current_caller()
    request_id = str(structlog.contextvars.get_contextvars().get("request_id", ""))
    quota = caller.monthly_character_quota
    return speech.Requester(caller.user_id, caller.origin, request_id, quota)


@blp.route("/generate")
class Generate(MethodView):
    """New jobs."""

    @blp.creates("speech:write", 413)
    @blp.arguments(schemas.GenerateSchema)
    @blp.response(202, schemas.SpeechJobSchema)
    def post(self, order: SpeechOrder) -> Any:
        """Have a text spoken. The answer is the job; ask for it until it is completed."""
        container = current_container()
        with container.new_uow() as uow:
            job = speech.order_speech(uow, container.settings, requester(), order)
            uow.commit()
            return schemas.show_job(job)


@blp.route("/jobs")
class Jobs(MethodView):
    """The caller's jobs."""

    @blp.guarded("speech:read")
    @blp.arguments(schemas.JobQuerySchema, location="query")
    @blp.response(200, schemas.SpeechJobPageSchema)
    def get(self, query: dict[str, Any]) -> Any:
        """List jobs, newest first."""
        with current_container().new_uow() as uow:
            page = uow.jobs.page(
                current_caller().user_id,
                kind=JobKind.SPEECH,
                state=query.get("status"),
                cursor=query.get("cursor"),
                limit=query["limit"],
                parent_id=query.get("batch_id"),
            )
        return {
            "items": [schemas.show_job(job) for job in page.items],
            "next_cursor": page.next_cursor,
        }


@blp.route("/job/<uuid:job_id>")
class OneJob(MethodView):
    """One job."""

    @blp.guarded("speech:read")
    @blp.response(200, schemas.SpeechJobSchema)
    def get(self, job_id: UUID) -> Any:
        """Show a job's state and progress."""
        with current_container().new_uow() as uow:
            return schemas.show_job(speech.find_speech_job(uow, current_caller().user_id, job_id))


@blp.route("/job/<uuid:job_id>/cancel")
class Cancel(MethodView):
    """The end of a job before its time."""

    @blp.guarded("speech:write", 409)
    @blp.response(200, schemas.SpeechJobSchema)
    def post(self, job_id: UUID) -> Any:
        """Cancel a job; its characters are given back. Cancelling twice is no error."""
        with current_container().new_uow() as uow:
            job = speech.cancel_speech_job(uow, current_caller().user_id, job_id)
            uow.commit()
            return schemas.show_job(job)


@blp.route("/job/<uuid:job_id>/result")
class Result(MethodView):
    """What a finished job gave."""

    @blp.guarded("speech:read", 409, 410)
    @blp.response(200, schemas.SpeechResultSchema)
    def get(self, job_id: UUID) -> Any:
        """Show the output: link, size, duration, quality and how it was made."""
        container = current_container()
        with container.new_uow() as uow:
            job = speech.find_speech_job(uow, current_caller().user_id, job_id)
        key = speech.finished_output(job)
        link = container.store.presigned_url(key, 3600, speech.output_filename(job))
        own = container.settings.public_url + url_for("speech.Download", job_id=job_id)
        return {
            **schemas.show_job(job),
            "download_url": link or own,
            "content_type": CONTENT_TYPES[OutputFormat(str(job.output_format))],
            "details": job.result or {},
        }


@blp.route("/job/<uuid:job_id>/download")
class Download(MethodView):
    """The output itself."""

    @blp.guarded("speech:read", 409, 410, 416)
    @blp.arguments(schemas.DownloadQuerySchema, location="query")
    @blp.sends_file(*CONTENT_TYPES.values())
    def get(self, query: dict[str, Any], job_id: UUID) -> Response:
        """Download the output, whole or a range; in another ``format`` once that was made."""
        container = current_container()
        with container.new_uow() as uow:
            job = speech.find_speech_job(uow, current_caller().user_id, job_id)
            key = speech.finished_output(job)
            fmt = query["format"] or OutputFormat(str(job.output_format))
            if fmt != job.output_format:
                key = renditions.rendition_output(renditions.ready_rendition(uow, job_id, fmt))
        return send_object(container.store, key, speech.output_filename(job, fmt))
