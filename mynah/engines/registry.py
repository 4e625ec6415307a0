"""From an engine's id to the engine: whether its parts are installed, loading it, its files."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, cast

from mynah.engines.base import EngineInfo, Profile, SpeechEngine
from mynah.engines.catalog import BuiltinVoice, engine_info, resolve_language
from mynah.errors import EngineUnavailable

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether an engine can be loaded here and, when not, why."""

    available: bool
    reason: str | None = None


def availability(engine_id: str) -> Availability:
    """Whether what the engine requires is installed and its own check finds nothing amiss.

    Imports the check, not the engine. Raises NotFound.
    """
    info = engine_info(engine_id)
    missing = [name for name in info.requires if not _is_installed(name)]
    if missing:
        return Availability(False, f"not installed: {', '.join(missing)}")
    reason = _run_check(info)
    return Availability(reason is None, reason)


def load_engine(engine_id: str) -> SpeechEngine:
    """Import and build an engine. Raises NotFound, EngineUnavailable."""
    info = engine_info(engine_id)
    found = availability(engine_id)
    if not found.available:
        raise EngineUnavailable(f"The engine {engine_id!r} is not available: {found.reason}.")
    try:
        factory = _import_named(info.factory)
    except (ImportError, AttributeError) as error:
        raise EngineUnavailable(f"The engine {engine_id!r} cannot be loaded: {error}.") from error
    return cast(SpeechEngine, factory())


def needed_memory(engine_id: str) -> int:
    """About how many bytes an engine takes once loaded; 0: it does not say. Raises NotFound."""
    named = engine_info(engine_id).memory
    return 0 if named is None else int(_import_named(named)(engine_id))


def own_voices(engine_id: str) -> tuple[BuiltinVoice, ...]:
    """The voices that lie beside an engine's weights here. Raises NotFound."""
    named = engine_info(engine_id).own_voices
    return () if named is None else tuple(_import_named(named)(engine_id))


def read_voice_file(document: object, engine_id: str, language: str) -> Profile | None:
    """An engine's profile in another program's voice file; None when it is none that it knows.

    ``document``: what ``load_torch_file`` found. Raises InvalidRequest (``invalid_profile``,
    ``unsupported_language``), NotFound.
    """
    info = engine_info(engine_id)
    if info.voice_file is None:
        return None
    read = _import_named(info.voice_file)
    return cast("Profile | None", read(document, engine_id, resolve_language(info, language)))


def _run_check(info: EngineInfo) -> str | None:
    if info.check is None:
        return None
    try:
        reason: str | None = _import_named(info.check)(info.id)
    except Exception as error:  # an engine that cannot even be looked at takes no other down
        _log.warning("the check of the engine %s failed", info.id, exc_info=True)
        return f"its check failed: {error}"
    return reason


def _import_named(name: str) -> Callable[..., Any]:
    """What ``module:name`` stands for."""
    module_name, _, attribute = name.partition(":")
    return cast(Callable[..., Any], getattr(import_module(module_name), attribute))


def _is_installed(module_name: str) -> bool:
    try:
        return find_spec(module_name) is not None
    except (ImportError, ValueError):  # the parent of a dotted name is missing or half loaded
        return False
