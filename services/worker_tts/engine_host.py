"""The engines that this process has loaded."""

from __future__ import annotations

import threading

from mynah.engines.base import SpeechEngine
from mynah.engines.registry import load_engine


class EngineHost:
    """Loads each engine on first use and keeps it."""

    def __init__(self) -> None:
        self._engines: dict[str, SpeechEngine] = {}
        self._lock = threading.Lock()

    def engine(self, engine_id: str) -> SpeechEngine:
        """The engine by id. Raises EngineUnavailable, NotFound."""
        with self._lock:
            if engine_id not in self._engines:
                self._engines[engine_id] = load_engine(engine_id)
            return self._engines[engine_id]

    def close(self) -> None:
        """Close every engine."""
        with self._lock:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()
