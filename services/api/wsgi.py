"""Gunicorn's entry point: ``gunicorn services.api.wsgi:app``."""

from __future__ import annotations

from mynah.observability.logging import configure_logging
from mynah.settings import load_settings
from services.api.app import create_app
from services.api.bootstrap import build_container

_settings = load_settings()
configure_logging("api", _settings.log_level, _settings.log_format)
app = create_app(build_container(_settings))
