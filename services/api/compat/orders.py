"""What ElevenLabs' clients ask for, as an order."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from mynah.db.models import Voice
from services.api.bootstrap import Container
from services.api.compat.vendors import Vendor
from services.api.schemas.compat_elevenlabs import engine_settings
from services.api.use_cases.dictionaries import DictionaryChoice, version_number
from services.api.use_cases.speech_order import SpeechOrder
from services.api.use_cases.vendor_settings import settings_of


def voices_of(container: Container, user_id: UUID, names: list[str]) -> list[Voice]:
    """The voices that ids or names stand for. Raises NotFound, Conflict (not ready)."""
    table = container.names[Vendor.ELEVENLABS]
    with container.new_uow() as uow:
        return [table.voice(uow, user_id, name) for name in names]


def text_order(
    container: Container, user_id: UUID, voice_name: str, body: dict[str, Any]
) -> SpeechOrder:
    """The order of a text, which ``SpeechSchema`` has read. Raises NotFound, Conflict."""
    voice = voices_of(container, user_id, [voice_name])[0]
    settings = {**settings_of(voice), **body.get("voice_settings", {})}
    return SpeechOrder(
        text=body["text"],
        voice_id=voice.id,
        voice_settings=engine_settings(settings),
        **common_fields(container, body),
    )


def common_fields(container: Container, body: dict[str, Any]) -> dict[str, Any]:
    """What a text and a dialogue have in common, as an order has it. Raises NotFound."""
    container.names[Vendor.ELEVENLABS].engine(container.settings, body["model_id"])
    choices = tuple(_choice(one) for one in body["pronunciation_dictionary_locators"])
    return {
        "language": body.get("language_code"),
        "dictionaries": choices,
        "seed": body.get("seed"),
    }


def _choice(locator: dict[str, Any]) -> DictionaryChoice:
    """A dictionary of a job. Raises NotFound for a version that cannot be one."""
    version = locator.get("version_id")
    number = None if version is None else version_number(version)
    return DictionaryChoice(locator["pronunciation_dictionary_id"], number)
