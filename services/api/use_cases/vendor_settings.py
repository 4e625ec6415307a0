"""How a voice speaks where a request does not say: kept with the voice, set by its owner."""

from __future__ import annotations

from typing import Any

from mynah.db.clock import utc_now
from mynah.db.models import Voice

_FACT = "speech_settings"

DEFAULT_SETTINGS: dict[str, Any] = {
    "stability": 0.5,
    "similarity_boost": 1.0,
    "style": 0.0,
    "use_speaker_boost": True,
    "speed": 1.0,
}


def settings_of(voice: Voice) -> dict[str, Any]:
    """All settings of a voice."""
    return {**DEFAULT_SETTINGS, **voice.facts.get(_FACT, {})}


def change_settings(voice: Voice, changes: dict[str, Any]) -> None:
    """Change some of a voice's settings. The caller commits."""
    voice.facts = {**voice.facts, _FACT: {**voice.facts.get(_FACT, {}), **changes}}
    voice.updated_at = utc_now()
