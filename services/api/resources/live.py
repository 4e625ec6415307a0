"""/api/tts/job/{id}/events and …/stream: follow a job, and listen while it is made."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, request
from flask.views import MethodView

from mynah.contracts.speech import SpeechRequest
from mynah.contracts.states import ENDED_JOB_STATES, OPEN_JOB_STATES
from mynah.db.models import Job
from mynah.engines.catalog import engine_info
from services.api.auth.caller import current_caller
from services.api.blueprints import ApiBlueprint
from services.api.bootstrap import current_container
from services.api.downloads import filename_parameters, send_object
from services.api.live.answers import answer_stream, listener_connection
from services.api.live.events import CONTENT_TYPE, JobEvents, is_end
from services.api.schemas.live import STREAM_CONTENT_TYPES, StreamQuerySchema
from services.api.schemas.speech import SpeechJobSchema, show_job
from services.api.use_cases import speech

blp = ApiBlueprint("listening", __name__, url_prefix="/api/tts", description="Listen to jobs")

_EVENT = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "enum": ["state", "progress", *ENDED_JOB_STATES]},
        "id": {"type": "string"},
        "data": {"type": "string", "description": "a JSON document"},
    },
}
_EVENT_STREAM = {
    "200": {
        "description": (
            "Events: `state` (the job), `progress` at every change, and at the end `completed`, "
            "`failed` or `cancelled` (the job)."
        ),
        "content": {CONTENT_TYPE: {"schema": _EVENT}},
    },
    "204": {"description": "The listener has had the last event already; do not come back."},
}
_LAST_EVENT_ID = {
    "in": "header",
    "name": "Last-Event-ID",
    "schema": {"type": "string"},
    "description": "the id of the last event that was received",
}


@blp.route("/job/<uuid:job_id>/events")
class Events(MethodView):
    """What happens to a job."""

    @blp.guarded("speech:read")
    @blp.doc(responses=_EVENT_STREAM, parameters=[_LAST_EVENT_ID])
    def get(self, job_id: UUID) -> Response:
        """Follow a job by server-sent events until it ends.

        A comment comes every ten seconds in which nothing happens. 429 and 503 with
        `too_many_streams` say that there are too many listeners.
        """
        container = current_container()
        with container.new_uow() as uow:
            job = speech.find_speech_job(uow, current_caller().user_id, job_id)
            pieces_total = uow.pieces.count(job_id)
        if job.state in ENDED_JOB_STATES and is_end(request.headers.get("Last-Event-ID", "")):
            return Response(status=204)
        schema = SpeechJobSchema()
        events = JobEvents(
            new_uow=container.new_uow,
            watcher=container.watcher,
            connection=listener_connection(container),
            heartbeat_s=container.settings.stream_heartbeat_s,
            job_id=job_id,
            pieces_total=pieces_total,
            show=lambda job: dict(schema.dump(show_job(job))),
        )
        return answer_stream(container, job_id, iter(events), CONTENT_TYPE)


@blp.route("/job/<uuid:job_id>/stream")
class Stream(MethodView):
    """A job's speech as it is made."""

    @blp.guarded("speech:read", 409, 410, 416)
    @blp.arguments(StreamQuerySchema, location="query")
    @blp.sends_file(*STREAM_CONTENT_TYPES.values())
    def get(self, query: dict[str, Any], job_id: UUID) -> Response:
        """Listen to a job while it is made, in order and without gaps.

        The answer ends with the last piece. If the job fails or is cancelled on the way, the
        connection is closed without the end of the answer. A completed job is sent from its
        file, by range where the format is the file's own. An MP3's bitrate follows a connection
        that is slower than the speech: `X-Bitrates-Kbps`. PCM is 16-bit little-endian mono at
        the rate in `X-Sample-Rate`.
        """
        container = current_container()
        with container.new_uow() as uow:
            job = speech.find_speech_job(uow, current_caller().user_id, job_id)
            pieces_total = uow.pieces.count(job_id)
        is_open = job.state in OPEN_JOB_STATES
        if not is_open:
            key = speech.finished_output(job)
            if _is_as_wanted(job, query):
                filename = speech.output_filename(job)
                return send_object(container.store, key, filename, as_attachment=False)
        return _listen(job, query, pieces_total, is_finished=not is_open)


def _is_as_wanted(job: Job, query: dict[str, Any]) -> bool:
    """Whether the finished file is what the listener asks for."""
    has_bitrate = query["format"] == "mp3" and query["bitrate_kbps"] is not None
    is_same = not has_bitrate or query["bitrate_kbps"] == job.request["bitrate_kbps"]
    return query["format"] == job.output_format and is_same


def _listen(job: Job, query: dict[str, Any], pieces_total: int, *, is_finished: bool) -> Response:
    # numpy, scipy and the encoder: a gateway that nobody listens to starts without them
    from mynah.audio.tags import SpeechTags  # noqa: PLC0415
    from services.api.live.forms import StreamForm  # noqa: PLC0415
    from services.api.live.speech import StorySource  # noqa: PLC0415

    container = current_container()
    wanted = SpeechRequest.model_validate(job.request)
    form = StreamForm(
        query["format"],
        engine_info(wanted.engine).sample_rate,
        query["bitrate_kbps"] or wanted.bitrate_kbps,
        SpeechTags(title=wanted.title or "", language=wanted.language),
    )
    is_adaptive = query["adaptive_bitrate"]
    if is_adaptive is None:
        is_adaptive = query["bitrate_kbps"] is None
    source = StorySource.of_job(container, job, form, pieces_total, is_adaptive=is_adaptive)
    body = source.stream(is_finished=is_finished)
    response = answer_stream(container, job.id, body, STREAM_CONTENT_TYPES[form.format])
    name = f"{speech.output_filename(job).rpartition('.')[0]}.{form.format}"
    response.headers["Content-Disposition"] = f"inline; {filename_parameters(name)}"
    response.headers["X-Sample-Rate"] = str(form.sample_rate)
    if form.has_bitrates:
        response.headers["X-Bitrates-Kbps"] = form.show_bitrates(is_adaptive=is_adaptive)
    response.headers["Accept-Ranges"] = "none"
    return response
