"""Celery's entry point: ``celery -A services.worker_tts.app worker -Q tts.espeak.live,…``."""

from __future__ import annotations

from mynah.jobs.once import OncePerProcess
from mynah.jobs.worker import worker_parts
from mynah.messaging.celery_app import WorkerHooks
from mynah.messaging.intake import QueueIntake
from mynah.settings import load_settings
from services.worker_tts.served_engines import ServedEngines
from services.worker_tts.warming import begin_to_warm_up

engines = OncePerProcess(lambda: ServedEngines(load_settings()))


def _begin(intake: QueueIntake) -> None:
    engines().begin(intake, context().new_uow)
    begin_to_warm_up(tasks.speaker)


app, context = worker_parts(
    "worker_tts",
    WorkerHooks(
        describe=lambda queues: engines().report(queues),
        begin=_begin,
        end=lambda: engines().end(),
    ),
)

from services.worker_tts import tasks  # noqa: E402  (registers the tasks on the app)
