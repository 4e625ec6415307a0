"""The table of the vendors' model and voice names, which the operator may change."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from mynah.db.models import Voice
from mynah.db.unit_of_work import UnitOfWork
from mynah.engines.base import EngineInfo
from mynah.engines.catalog import engine_info, load_engines
from mynah.errors import NotFound
from mynah.settings import Settings
from services.api.compat.vendors import Vendor
from services.api.use_cases.speech_planning import find_voice

DEFAULT_FILE = Path(__file__).with_name("names.toml")
_PLATFORM_ENGINE = "default"
_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")  # of a dated model: gpt-4o-mini-tts-2025-12-15


@dataclass(frozen=True, slots=True)
class NameTable:
    """One vendor's names, in lower case: of models to engines, of voices to voices."""

    models: Mapping[str, str]
    voices: Mapping[str, str]

    def engine(self, settings: Settings, model: str) -> EngineInfo:
        """The engine that a model's name, or an engine's id, stands for. Raises NotFound."""
        known = model if model in load_engines() else self._engine_named(model.lower())
        if known is None:
            raise NotFound(f"There is no model {model!r}.", code="model_not_found")
        return engine_info(settings.default_engine if known == _PLATFORM_ENGINE else known)

    def _engine_named(self, model: str) -> str | None:
        return self.models.get(model) or self.models.get(_DATE.sub("", model))

    def voice(self, uow: UnitOfWork, user_id: UUID, name: str) -> Voice:
        """The voice that a name stands for: an own or public one's id or name, then the table.

        Raises NotFound, Conflict (not ready).
        """
        try:
            return find_voice(uow, user_id, name)
        except NotFound:
            meant = self.voices.get(name.lower())
            if meant is None:
                raise
            return find_voice(uow, user_id, meant)


VendorNames = Mapping[Vendor, NameTable]


def load_names(own_file: Path | None) -> VendorNames:
    """The shipped table with the operator's entries before it.

    Raises ValueError for a file that cannot be read or says something else.
    """
    tables = [_read(DEFAULT_FILE), *([_read(own_file)] if own_file else [])]
    return {
        vendor: NameTable(
            models=_merged(tables, vendor, "models"), voices=_merged(tables, vendor, "voices")
        )
        for vendor in Vendor
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"The table of names {path} cannot be read: {error}") from error
    for vendor, sections in document.items():
        if vendor not in list(Vendor) or not isinstance(sections, dict):
            raise ValueError(f"The table of names {path} has no place for {vendor!r}")
        for name, entries in sections.items():
            if name not in ("models", "voices") or not _is_table_of_texts(entries):
                raise ValueError(f"{vendor}.{name} in {path} must be a table of names")
    return document


def _is_table_of_texts(entries: Any) -> bool:
    return isinstance(entries, dict) and all(isinstance(text, str) for text in entries.values())


def _merged(tables: list[dict[str, Any]], vendor: Vendor, section: str) -> dict[str, str]:
    merged: dict[str, str] = {}
    for table in tables:
        entries = table.get(vendor, {}).get(section, {})
        merged |= {name.lower(): meant for name, meant in entries.items()}
    return merged
