"""Celery's entry point: ``celery -A services.audio_proc.app worker -Q audio`` (``recognize``)."""

from __future__ import annotations

from mynah.jobs.worker import worker_parts
from services.audio_proc.questions import report_recognizer

app, context = worker_parts("audio_proc", report_recognizer)

from services.audio_proc import tasks  # noqa: E402, F401  (registers the tasks on the app)
