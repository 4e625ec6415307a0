"""A speech worker that cannot load eSpeak while the file that ``BROKEN_WHILE`` names is there.

Celery's entry point: ``celery -A tests.integration.recovery.breakable_worker worker …``.
"""

from __future__ import annotations

import os
from pathlib import Path

from mynah.engines.base import SpeechEngine
from mynah.engines.registry import load_engine
from mynah.errors import EngineUnavailable
from services.worker_tts import engine_queues, served_engines
from services.worker_tts.engine_host import EngineHost

_MARK = Path(os.environ["BROKEN_WHILE"])


def _load(engine_id: str) -> SpeechEngine:
    if _MARK.exists():
        raise EngineUnavailable("Its file x is damaged.", code="checkpoint_damaged")
    return load_engine(engine_id)


def _host(budget_bytes: int) -> EngineHost:
    return EngineHost(budget_bytes, load=_load)


served_engines.EngineHost = _host  # type: ignore[misc,assignment]
engine_queues.FIRST_LOOK_S, engine_queues.MAX_LOOK_S = 0.25, 1.0  # type: ignore[misc]

from services.worker_tts.app import app  # noqa: E402

__all__ = ["app"]
