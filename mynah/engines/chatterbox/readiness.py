"""Whether a Chatterbox model can be loaded here: a quick look, without torch."""

from __future__ import annotations

from mynah.engines.chatterbox.checkpoint import MODELS, check_checkpoint, find_checkpoint
from mynah.engines.chatterbox.rows import MODEL_IDS
from mynah.errors import EngineUnavailable
from mynah.settings import Settings, load_settings


def check_readiness(engine_id: str, settings: Settings | None = None) -> str | None:
    """Why the engine cannot speak here; None when its checkpoint is there and looks whole, or may
    be downloaded. Downloads nothing itself."""
    settings = settings or load_settings()
    files = MODELS[MODEL_IDS[engine_id]]
    try:
        folder = find_checkpoint(files, settings.chatterbox_dir, may_download=False)
        check_checkpoint(files, folder)
    except EngineUnavailable as error:
        may_fetch = settings.chatterbox_dir is None and settings.chatterbox_download
        is_absent = error.code == "checkpoint_missing"
        return None if may_fetch and is_absent else error.message.rstrip(".")
    return None
