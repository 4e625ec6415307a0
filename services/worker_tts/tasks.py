"""The Celery tasks of the speech workers: thin, one line of work each."""

from __future__ import annotations

from functools import partial

from mynah.contracts.tasks import BUILD_PROFILE, SYNTHESIZE, StepPayload
from mynah.jobs.once import OncePerProcess
from mynah.messaging.consumer import implements
from mynah.messaging.live import LiveWriter
from mynah.recognition.registry import load_recognizer
from services.worker_tts.app import app, context, engines
from services.worker_tts.making_way import LiveFirst
from services.worker_tts.profile_building import build_profile
from services.worker_tts.profile_cache import ProfileCache
from services.worker_tts.synthesis import Speaker, speak_piece


@OncePerProcess
def speaker() -> Speaker:
    """This process's engines and profiles, made on first use."""
    worker = context()
    cache = ProfileCache(worker.settings.profile_cache_size, worker.settings.profile_cache_mib)
    recognizer = load_recognizer(worker.settings.recognizer_dir)
    return Speaker(
        worker,
        engines(),
        cache,
        recognizer,
        LiveWriter(worker.settings),
        LiveFirst(worker.broker, engines().taken_queues),
    )


@implements(app, SYNTHESIZE)
def synthesize(payload: StepPayload) -> None:
    """Speak one piece."""
    context().runner.run(payload, partial(speak_piece, speaker()))


@implements(app, BUILD_PROFILE)
def make_profile(payload: StepPayload) -> None:
    """Make an engine's profile of a voice and speak its sample."""
    context().runner.run(payload, partial(build_profile, speaker()))
