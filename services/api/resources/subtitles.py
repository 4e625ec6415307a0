"""/api/tts/job/{id}/subtitles and …/report: what else is known of a job's speech."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from flask import Response
from flask.views import MethodView

from mynah.text.subtitles import to_srt, to_vtt
from services.api.auth.caller import current_caller
from services.api.blueprints import ApiBlueprint
from services.api.bootstrap import current_container
from services.api.downloads import filename_parameters
from services.api.schemas import subtitles as schemas
from services.api.use_cases.speech import find_speech_job, output_name
from services.api.use_cases.subtitles import Subtitles, subtitles_of

blp = ApiBlueprint(
    "subtitles", __name__, url_prefix="/api/tts/job", description="Subtitles and quality reports"
)

_TEXT = {"type": "string"}
_DOCUMENTED = {
    "200": {
        "description": "The subtitles in the form that was asked for.",
        "content": {
            schemas.SUBTITLE_TYPES["srt"]: {"schema": _TEXT},
            schemas.SUBTITLE_TYPES["vtt"]: {"schema": _TEXT},
            schemas.SUBTITLE_TYPES["json"]: {"schema": schemas.SubtitlesSchema},
        },
    }
}


@blp.route("/<uuid:job_id>/subtitles")
class JobSubtitles(MethodView):
    """The words of a finished job and when they are spoken."""

    @blp.guarded("speech:read", 409)
    @blp.arguments(schemas.SubtitleQuerySchema, location="query")
    @blp.doc(responses=_DOCUMENTED)
    def get(self, query: dict[str, Any], job_id: UUID) -> Response:
        """Get subtitles as SRT, WebVTT, or JSON with the time of every word."""
        with current_container().new_uow() as uow:
            subtitles = subtitles_of(uow, current_caller().user_id, job_id)
        form = query["format"]
        response = Response(_written(subtitles, form), mimetype=schemas.SUBTITLE_TYPES[form])
        name = filename_parameters(f"{output_name(subtitles.job)}.{form}")
        response.headers["Content-Disposition"] = f"attachment; {name}"
        return response


@blp.route("/<uuid:job_id>/report")
class JobReport(MethodView):
    """How well a job was spoken."""

    @blp.guarded("speech:read")
    @blp.response(200, schemas.JobReportSchema)
    def get(self, job_id: UUID) -> Any:
        """Show, piece by piece, every reading, what was measured on it, and which one was kept."""
        with current_container().new_uow() as uow:
            job = find_speech_job(uow, current_caller().user_id, job_id)
            pieces = uow.pieces.of_job(job.id)
        return {
            "job_id": job.id,
            "quality_score": job.quality_score,
            "pieces": [schemas.show_report(piece) for piece in pieces],
        }


def _written(subtitles: Subtitles, form: str) -> str:
    if form == "srt":
        return to_srt(subtitles.cues)
    if form == "vtt":
        return to_vtt(subtitles.cues)
    shown = schemas.SubtitlesSchema().dump(schemas.show_subtitles(subtitles))
    return json.dumps(shown, ensure_ascii=False)
