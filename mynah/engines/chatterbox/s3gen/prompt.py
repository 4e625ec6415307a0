"""The voice as S3Gen takes it: prompt tokens, prompt mel and speaker, on the device.

Made of a profile once and kept while the voice is in use.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch

from mynah.engines.base import Profile
from mynah.engines.chatterbox.profile_layout import MEL, TOKENS, X_VECTOR, X_VECTOR_WIDTH
from mynah.engines.chatterbox.s3gen.encoder import FlowEncoder
from mynah.engines.chatterbox.s3gen.layout import FRAMES_PER_TOKEN, MELS, TOKEN_RATE, VOCABULARY
from mynah.errors import InvalidRequest

MAX_PROMPT_S: Final = 30  # profiles have 10; the work of each text grows with it


@dataclass(frozen=True, slots=True)
class Prompt:
    """``tokens`` (count,) int64, ``mel`` (2 count, MELS) and ``speaker`` (MELS,) float32."""

    tokens: torch.Tensor
    mel: torch.Tensor
    speaker: torch.Tensor

    @property
    def frames(self) -> int:
        """Mel frames of the prompt."""
        return int(self.mel.shape[0])


def load_prompt(
    profile: Profile, encoder: FlowEncoder, device: torch.device, max_s: float | None
) -> Prompt:
    """A profile's part for S3Gen. Raises InvalidRequest (``invalid_profile``).

    ``max_s``: only the prompt's last seconds are used, which makes short texts and first chunks
    much cheaper and changes how they sound; None: all of it.
    """
    tokens, mel, x_vector = (_array(profile, name) for name in (TOKENS, MEL, X_VECTOR))
    if tokens.ndim != 1 or tokens.dtype.kind not in "iu" or not len(tokens):
        raise _invalid(f"{TOKENS} is no list of tokens")
    if len(tokens) > MAX_PROMPT_S * TOKEN_RATE:
        raise _invalid(f"{TOKENS} is longer than {MAX_PROMPT_S} s")
    if tokens.min() < 0 or tokens.max() >= VOCABULARY:
        raise _invalid(f"{TOKENS} holds numbers that are no tokens")
    if mel.shape != (len(tokens) * FRAMES_PER_TOKEN, MELS) or mel.dtype.kind != "f":
        raise _invalid(f"{MEL} does not go with {TOKENS}")
    if x_vector.shape != (X_VECTOR_WIDTH,) or x_vector.dtype.kind != "f":
        raise _invalid(f"{X_VECTOR} is not of the width {X_VECTOR_WIDTH}")
    kept = len(tokens) if max_s is None else max(1, min(len(tokens), round(max_s * TOKEN_RATE)))
    return Prompt(
        torch.from_numpy(tokens[-kept:].astype(np.int64)).to(device),
        torch.from_numpy(mel[-kept * FRAMES_PER_TOKEN :].astype(np.float32)).to(device),
        encoder.project_speaker(torch.from_numpy(x_vector.astype(np.float32)).to(device)),
    )


class PromptCache:
    """The prompts of the voices in use: a bounded LRU by the profile's content, thread-safe."""

    def __init__(self, max_prompts: int, load: Callable[[Profile], Prompt]) -> None:
        self._max_prompts = max_prompts
        self._load = load
        self._prompts: OrderedDict[bytes, Prompt] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, profile: Profile) -> Prompt:
        """The prompt of ``profile``. Raises InvalidRequest (``invalid_profile``)."""
        key = _digest(profile)
        with self._lock:
            if (found := self._prompts.get(key)) is not None:
                self._prompts.move_to_end(key)
                return found
        prompt = self._load(profile)
        with self._lock:
            self._prompts[key] = prompt
            while len(self._prompts) > self._max_prompts:
                self._prompts.popitem(last=False)
        return prompt


def _digest(profile: Profile) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for name in (TOKENS, MEL, X_VECTOR):
        array = np.ascontiguousarray(_array(profile, name))
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.data)
    return digest.digest()


def _array(profile: Profile, name: str) -> np.ndarray[Any, Any]:
    array = profile.arrays.get(name)
    if not isinstance(array, np.ndarray):
        raise _invalid(f"{name} is missing")
    return array


def _invalid(why: str) -> InvalidRequest:
    return InvalidRequest(f"The profile cannot be used: {why}.", code="invalid_profile")
