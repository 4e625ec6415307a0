"""Whether a Chatterbox model can be loaded here: a quick look, without torch."""

from __future__ import annotations

from typing import Final

from mynah.engines.chatterbox.checkpoint import MODELS, check_checkpoint, find_checkpoint
from mynah.engines.chatterbox.rows import MAX_PIECE_CHARACTERS, MODEL_IDS
from mynah.engines.chatterbox.t3.config import T3Config
from mynah.engines.chatterbox.t3.needs import least_cache_bytes
from mynah.errors import EngineUnavailable
from mynah.settings import MiB, Settings, load_settings

_FP32_BYTES: Final = 4
_COARSE_BYTES: Final = 2  # keys and values beside bf16 and int8


def check_readiness(engine_id: str, settings: Settings | None = None) -> str | None:
    """Why the engine cannot speak here; None when its checkpoint is there and looks whole, or may
    be downloaded. Downloads nothing itself."""
    settings = settings or load_settings()
    files = MODELS[MODEL_IDS[engine_id]]
    try:
        # Only loading knows what ``auto`` becomes.
        is_exact = settings.chatterbox_precision == "fp32"
        check_cache(files.t3_config, _FP32_BYTES if is_exact else _COARSE_BYTES, settings)
        folder = find_checkpoint(files, settings.chatterbox_dir, may_download=False)
        check_checkpoint(files, folder)
    except EngineUnavailable as error:
        may_fetch = settings.chatterbox_dir is None and settings.chatterbox_download
        is_absent = error.code == "checkpoint_missing"
        return None if may_fetch and is_absent else error.message.rstrip(".")
    return None


def check_cache(config: T3Config, number_bytes: int, settings: Settings) -> None:
    """Whether a whole piece can be spoken in the memory for keys and values, each number of so many
    bytes. Raises EngineUnavailable (``cache_too_small``) that names the least that is enough."""
    least = least_cache_bytes(config, number_bytes, MAX_PIECE_CHARACTERS)
    if settings.chatterbox_cache_mib * MiB < least:
        raise EngineUnavailable(
            f"MYNAH_CHATTERBOX_CACHE_MIB is {settings.chatterbox_cache_mib}: too little for a text "
            f"of {MAX_PIECE_CHARACTERS} characters, which takes {-(-least // MiB)}.",
            code="cache_too_small",
        )
