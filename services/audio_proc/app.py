"""Celery's entry point: ``celery -A services.audio_proc.app worker -Q audio`` (``recognize``)."""

from __future__ import annotations

import threading

from mynah.jobs.once import OncePerProcess
from mynah.jobs.worker import worker_parts
from mynah.messaging.celery_app import WorkerHooks
from mynah.messaging.intake import QueueIntake
from services.audio_proc.questions import load_hearing, report_recognizer, takes_questions

hearing = OncePerProcess(load_hearing)


def _begin(intake: QueueIntake) -> None:
    """Load the weights before the first question, and no longer than Celery lets a start take."""
    if takes_questions(frozenset(intake.given)):
        threading.Thread(target=hearing, name="load-recognizer", daemon=True).start()


app, context = worker_parts("audio_proc", WorkerHooks(describe=report_recognizer, begin=_begin))

from services.audio_proc import tasks  # noqa: E402, F401  (registers the tasks on the app)
