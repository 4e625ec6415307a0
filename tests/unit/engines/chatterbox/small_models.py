"""The three models at test size: written, and loaded by the code that loads the real ones."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from bench.chatterbox import checkpoints, upstream
from mynah.engines.chatterbox import checkpoint, engine, loading
from tests.unit.engines.chatterbox.s3gen_parts import VOICED_HZ


def write_small_models(root: Path) -> None:
    """All three models of random weights, with voiced speech."""
    for model in checkpoint.MODELS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library's constructors use what is deprecated
            written = checkpoints.write_checkpoint(root, model, small=True)
        path = written.folder / written.files.s3gen
        weights = load_file(path)
        weights["mel2wav.f0_predictor.classifier.bias"].fill_(VOICED_HZ)
        save_file(weights, path)


def write_conditionals(path: Path, prompt_tokens: int = 24, seed: int = 3) -> None:
    """A ``conds.pt`` as the library saves it."""
    draw = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, 6561, (1, prompt_tokens), generator=draw)
    parts = {
        "t3": {
            "speaker_emb": torch.rand(1, 256, generator=draw),
            "clap_emb": None,
            "cond_prompt_speech_tokens": tokens,
            "cond_prompt_speech_emb": None,
            "emotion_adv": torch.full((1, 1, 1), 0.5),
        },
        "gen": {
            "prompt_token": tokens,
            "prompt_token_len": torch.tensor([prompt_tokens]),
            "prompt_feat": torch.randn(1, 2 * prompt_tokens, 80, generator=draw) * 2 - 4,
            "prompt_feat_len": None,
            "embedding": torch.randn(1, 192, generator=draw),
        },
    }
    torch.save(parts, path)


def load_at_test_size(patch: pytest.MonkeyPatch, most_tokens: Callable[[Any], int]) -> None:
    """Let the engine load small models, and end speech after ``most_tokens`` of a text's tokens:
    random weights seldom end by themselves."""
    for model, config in checkpoints.SMALL_CONFIGS.items():
        files = replace(checkpoint.MODELS[model], t3_config=config)
        patch.setitem(checkpoint.MODELS, model, files)
    patch.setattr(
        loading,
        "build_s3gen",
        lambda *, is_meanflow: upstream.build_s3gen(meanflow=is_meanflow, small=True),
    )
    request = engine.TokenRequest

    def limited(**options: Any) -> Any:
        return request(**options, max_tokens=most_tokens(options["text"]))

    patch.setattr(engine, "TokenRequest", limited)
