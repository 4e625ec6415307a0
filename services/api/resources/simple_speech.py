"""POST /tts/generate: text in, audio out, in one request."""

from __future__ import annotations

import time
from uuid import UUID

from flask import Response
from flask.views import MethodView

from mynah.contracts.speech import CONTENT_TYPES
from mynah.contracts.states import ENDED_JOB_STATES, JobState, Lane
from mynah.db.models import Job
from mynah.errors import EngineFailed, SpeechTimeout
from services.api.blueprints import ApiBlueprint
from services.api.bootstrap import Container, current_container
from services.api.downloads import send_object
from services.api.resources.tts import requester
from services.api.schemas.simple import SpeakSchema
from services.api.use_cases import speech
from services.api.use_cases.speech_order import SpeechOrder

blp = ApiBlueprint("simple speech", __name__, url_prefix="/tts", description="Speech at once")

FIRST_LOOK_S = 0.01
SLOWEST_LOOK_S = 0.1


@blp.route("/generate")
class Speak(MethodView):
    """Speech in the answer."""

    @blp.guarded("speech:write", 409, 410, 413, 504)
    @blp.arguments(SpeakSchema)
    @blp.sends_file(*CONTENT_TYPES.values())
    def post(self, order: SpeechOrder) -> Response:
        """Speak a short text and answer with the audio itself (WAV unless asked otherwise)."""
        container = current_container()
        with container.new_uow() as uow:
            job = speech.order_speech(uow, container.settings, requester(), order, Lane.LIVE)
            uow.commit()
        job = _wait_until_ended(container, job.id)
        if job.state != JobState.COMPLETED:
            raise EngineFailed(job.error_message or "The job failed.", code=job.error_code)
        key = speech.finished_output(job)
        response = send_object(container.store, key, speech.output_filename(job))
        response.headers["X-Job-ID"] = str(job.id)
        return response


def _wait_until_ended(container: Container, job_id: UUID) -> Job:
    """Look at the job until it has ended. Raises SpeechTimeout; the job goes on then."""
    deadline = time.monotonic() + container.settings.sync_timeout_s
    pause_s = FIRST_LOOK_S
    while time.monotonic() < deadline:
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.3, SLOWEST_LOOK_S)
        with container.new_uow() as uow:
            job = uow.jobs.by_id(job_id)
        if job.state in ENDED_JOB_STATES:
            return job
    raise SpeechTimeout(f"Not ready in time; look at /api/tts/job/{job_id}.")
