"""The library's own voice file, ``conds.pt``: read without torch, and without running it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mynah.engines.base import Profile
from mynah.engines.chatterbox.checkpoint import MODELS
from mynah.engines.chatterbox.profile_layout import (
    MEL,
    SPEAKER,
    SPEAKER_WIDTH,
    T3_TOKENS,
    TOKENS,
    VERSION,
    X_VECTOR,
    X_VECTOR_WIDTH,
    engine_of,
)
from mynah.engines.chatterbox.rows import MODEL_IDS
from mynah.engines.chatterbox.s3gen.layout import FRAMES_PER_TOKEN, MELS, VOCABULARY
from mynah.engines.torch_file import load_torch_file
from mynah.errors import InvalidRequest

Array = npt.NDArray[Any]


def read_conditionals(data: bytes, language: str, model: str) -> Profile:
    """The profile, for one of the models, in a ``conds.pt`` that the library saved.

    Raises InvalidRequest (``invalid_profile``; ``unsafe_voice_file``, ``damaged_voice_file``).
    """
    return _profile(load_torch_file(data), language, model)


def read_voice_file(document: object, engine_id: str, language: str) -> Profile | None:
    """The profile in what ``load_torch_file`` found; None when that is no ``conds.pt``.

    ``language``: the engine's own tag. Raises InvalidRequest (``invalid_profile``).
    """
    if not isinstance(document, Mapping) or not {"t3", "gen"} <= document.keys():
        return None
    return _profile(document, language, MODEL_IDS[engine_id])


def _profile(content: object, language: str, model: str) -> Profile:
    t3, gen = _part(content, "t3"), _part(content, "gen")
    most = MODELS[model].t3_config.prompt_tokens  # Turbo's file holds more than the others take
    arrays = {
        SPEAKER: _floats(t3, "speaker_emb", (SPEAKER_WIDTH,)),
        T3_TOKENS: _tokens(t3, "cond_prompt_speech_tokens")[:most],
        TOKENS: _tokens(gen, "prompt_token"),
        MEL: _floats(gen, "prompt_feat", (-1, MELS)),
        X_VECTOR: _floats(gen, "embedding", (X_VECTOR_WIDTH,)),
    }
    count = min(len(arrays[TOKENS]), len(arrays[MEL]) // FRAMES_PER_TOKEN)
    if not count:
        raise _invalid("prompt_feat is too short")
    arrays[TOKENS] = arrays[TOKENS][:count]
    arrays[MEL] = arrays[MEL][: count * FRAMES_PER_TOKEN]
    return Profile(engine_of(model), VERSION, language, arrays, {"model": model})


def _part(content: object, name: str) -> Mapping[str, Any]:
    part = content.get(name) if isinstance(content, Mapping) else None
    if not isinstance(part, Mapping):
        raise _invalid(f"it has no part {name!r}")
    return part


def _floats(part: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> Array:
    array = part.get(name)
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise _invalid(f"{name} is missing")
    width = shape[-1]
    if array.ndim == 0 or array.shape[-1] != width or (len(shape) == 1 and array.size != width):
        raise _invalid(f"{name} has the shape {array.shape}")
    if not np.isfinite(array).all():
        raise _invalid(f"{name} holds what is not a number")
    return array.reshape(shape).astype(np.float32)


def _tokens(part: Mapping[str, Any], name: str) -> Array:
    array = part.get(name)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iu" or not array.size:
        raise _invalid(f"{name} is missing")
    if array.min() < 0 or array.max() >= VOCABULARY:
        raise _invalid(f"{name} holds numbers that are no tokens")
    return array.reshape(-1).astype(np.int64)


def _invalid(why: str) -> InvalidRequest:
    return InvalidRequest(f"The conditionals cannot be read: {why}.", code="invalid_profile")
