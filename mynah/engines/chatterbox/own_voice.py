"""The voice that comes with the weights: the ``conds.pt`` beside them; readable without torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from mynah.engines.base import Profile
from mynah.engines.catalog import BuiltinVoice
from mynah.engines.chatterbox.checkpoint import MODELS, find_checkpoint
from mynah.engines.chatterbox.conditionals import read_conditionals
from mynah.engines.chatterbox.rows import MODEL_IDS
from mynah.errors import EngineUnavailable, NotFound
from mynah.settings import Settings, load_settings

NAME: Final = "default"
_NAMES: Final = {
    "english": "Chatterbox",
    "multilingual": "Chatterbox Multilingual",
    "turbo": "Chatterbox Turbo",
}


def own_voices(engine_id: str, settings: Settings | None = None) -> tuple[BuiltinVoice, ...]:
    """The engine's voice, where its file is there."""
    settings = settings or load_settings()
    model = MODEL_IDS[engine_id]
    files = MODELS[model]
    try:
        folder = find_checkpoint(files, settings.chatterbox_dir, may_download=False)
    except EngineUnavailable:
        return ()
    if not (folder / files.conditionals).is_file():
        return ()
    description = "The voice that comes with the model"
    return (BuiltinVoice(NAME, _NAMES[model], engine_id, "en", NAME, description),)


class OwnVoice:
    """A loaded model's voice, read once."""

    def __init__(self, path: Path, model: str) -> None:
        self._path = path
        self._model = model
        self._profile: Profile | None = None

    def profile(self, name: str, language: str) -> Profile:
        """The voice's profile, set to a language. Raises NotFound, InvalidRequest."""
        if name != NAME or not self._path.is_file():
            raise NotFound(f"The model has no voice {name!r}.", code="voice_not_found")
        if self._profile is None:
            self._profile = read_conditionals(self._path.read_bytes(), language, self._model)
        return replace(self._profile, language=language)
