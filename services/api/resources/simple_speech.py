"""POST /tts/generate: text in, audio out, in one request."""

from __future__ import annotations

from flask import Response
from flask.views import MethodView

from mynah.contracts.speech import CONTENT_TYPES
from mynah.contracts.states import JobState, Lane
from mynah.errors import EngineFailed
from services.api.blueprints import ApiBlueprint
from services.api.bootstrap import current_container
from services.api.downloads import send_object
from services.api.live.waiting import wait_until_ended
from services.api.resources.tts import requester
from services.api.schemas.simple import SpeakSchema
from services.api.use_cases import speech
from services.api.use_cases.speech_order import SpeechOrder

blp = ApiBlueprint("simple speech", __name__, url_prefix="/tts", description="Speech at once")


@blp.route("/generate")
class Speak(MethodView):
    """Speech in the answer."""

    @blp.creates("speech:write", 410, 413, 504)
    @blp.arguments(SpeakSchema)
    @blp.sends_file(*CONTENT_TYPES.values())
    def post(self, order: SpeechOrder) -> Response:
        """Speak a short text and answer with the audio itself (WAV unless asked otherwise)."""
        container = current_container()
        with container.new_uow() as uow:
            job = speech.order_speech(uow, container.settings, requester(), order, Lane.LIVE)
            uow.commit()
        job = wait_until_ended(container, job.id)
        if job.state != JobState.COMPLETED:
            raise EngineFailed(job.error_message or "The job failed.", code=job.error_code)
        key = speech.finished_output(job)
        response = send_object(container.store, key, speech.output_filename(job))
        response.headers["X-Job-ID"] = str(job.id)
        return response
