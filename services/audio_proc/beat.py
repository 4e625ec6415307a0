"""Celery's entry point for beat: ``celery -A services.audio_proc.beat beat``.

It only sends what the contracts say is periodic, and loads none of the work.
"""

from __future__ import annotations

from mynah.messaging.celery_app import make_beat_app
from mynah.settings import load_settings

app = make_beat_app(load_settings())
