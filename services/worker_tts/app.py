"""Celery's entry point: ``celery -A services.worker_tts.app worker -Q tts.espeak.live,…``."""

from __future__ import annotations

from mynah.jobs.worker import worker_parts
from services.worker_tts.served_engines import report_engines

app, context = worker_parts("worker_tts", report_engines)

from services.worker_tts import tasks  # noqa: E402, F401  (registers the tasks on the app)
