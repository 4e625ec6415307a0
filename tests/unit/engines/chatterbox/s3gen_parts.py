"""A small S3Gen with random weights whose speech is voiced, and profiles for it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

from bench.chatterbox.upstream import build_s3gen
from mynah.engines.base import Profile
from mynah.engines.chatterbox.profile_layout import MEL, TOKENS, X_VECTOR

VOICED_HZ = 150.0

torch.set_num_threads(1)  # of networks as small as these, threads only cost


def small_s3gen(*, meanflow: bool = False) -> Any:
    torch.manual_seed(20 + meanflow)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's constructors use what is deprecated
        s3gen = build_s3gen(meanflow=meanflow, small=True)
    with torch.no_grad():
        s3gen.mel2wav.f0_predictor.classifier.bias.fill_(VOICED_HZ)
    return s3gen


def make_profile(tokens: int = 20, seed: int = 0) -> Profile:
    rng = np.random.default_rng(seed)
    arrays = {
        TOKENS: rng.integers(0, 6561, tokens),
        MEL: rng.normal(-4.0, 2.0, (2 * tokens, 80)).astype(np.float32),
        X_VECTOR: rng.normal(0.0, 1.0, 192).astype(np.float32),
    }
    return Profile("chatterbox", "1", "en", arrays)


def make_tokens(count: int, seed: int = 1) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 6561, count)


def library_prompt(profile: Profile) -> dict[str, Any]:
    """A profile as the library's ``ref_dict``."""
    tokens = torch.from_numpy(profile.arrays[TOKENS])[None]
    return {
        "prompt_token": tokens,
        "prompt_token_len": torch.tensor([tokens.shape[1]]),
        "prompt_feat": torch.from_numpy(profile.arrays[MEL])[None],
        "prompt_feat_len": None,
        "embedding": torch.from_numpy(profile.arrays[X_VECTOR])[None],
    }


def snr_db(expected: Any, found: Any) -> float:
    expected, found = np.asarray(expected, np.float64), np.asarray(found, np.float64)
    return float(10 * np.log10(np.square(expected).mean() / np.square(found - expected).mean()))
