"""The voices that engines bring with them, as public voices."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import NAMESPACE_URL, uuid5

from mynah.contracts.states import Visibility, VoiceState
from mynah.db.unit_of_work import UnitOfWork
from mynah.engines.catalog import BuiltinVoice


def publish_voices(uow: UnitOfWork, voices: Sequence[BuiltinVoice]) -> int:
    """Write engines' own voices as public voices; again, it updates them. The caller commits."""
    for own in voices:
        voice_id = uuid5(NAMESPACE_URL, f"mynah:voice:{own.engine}:{own.slug}")
        columns: dict[str, object] = {
            "name": own.name,
            "description": own.description,
            "language": own.language,
            "engine": own.engine,
            "engine_voice": own.engine_voice,
            "state": VoiceState.READY,
            "visibility": Visibility.PUBLIC,
            "facts": {} if own.gender is None else {"gender": own.gender},
        }
        uow.voices.put(voice_id, columns)
    return len(voices)
