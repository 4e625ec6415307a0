"""From an engine's id to the engine: whether its parts are installed, and loading it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import cast

from mynah.engines.base import SpeechEngine
from mynah.engines.catalog import engine_info
from mynah.errors import EngineUnavailable


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether an engine can be loaded here and, when not, why."""

    available: bool
    reason: str | None = None


def availability(engine_id: str) -> Availability:
    """Whether what the engine requires is installed; imports nothing of it. Raises NotFound."""
    missing = [name for name in engine_info(engine_id).requires if not _is_installed(name)]
    if missing:
        return Availability(False, f"not installed: {', '.join(missing)}")
    return Availability(True)


def load_engine(engine_id: str) -> SpeechEngine:
    """Import and build an engine. Raises NotFound, EngineUnavailable."""
    info = engine_info(engine_id)
    found = availability(engine_id)
    if not found.available:
        raise EngineUnavailable(f"The engine {engine_id!r} is not available: {found.reason}.")
    module_name, _, class_name = info.factory.partition(":")
    try:
        factory = getattr(import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise EngineUnavailable(f"The engine {engine_id!r} cannot be loaded: {error}.") from error
    return cast(SpeechEngine, factory())


def _is_installed(module_name: str) -> bool:
    try:
        return find_spec(module_name) is not None
    except (ImportError, ValueError):  # the parent of a dotted name is missing or half loaded
        return False
