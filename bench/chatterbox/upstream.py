"""chatterbox-tts 0.1.7 itself, the counterpart: its classes at full or at test size.

At full size its own constructors are used as they are. At test size the same classes are built
narrower: what their constructors fix (the perceiver's width, the sizes inside S3Gen) is replaced
by smaller modules of the same classes.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from mynah.engines.chatterbox.t3.config import PERCEIVER_HEADS, PERCEIVER_QUERIES, T3Config

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import chatterbox.models.s3gen.s3gen as s3gen_module
    import chatterbox.models.t3.t3 as t3_module
    from chatterbox.models.s3gen import S3Gen
    from chatterbox.models.t3 import T3
    from chatterbox.models.t3.llama_configs import LLAMA_CONFIGS
    from chatterbox.models.t3.modules.cond_enc import T3Cond
    from chatterbox.models.t3.modules.perceiver import Perceiver
    from chatterbox.models.t3.modules.t3_config import T3Config as LibraryT3Config
    from s3tokenizer.model_v2 import AudioEncoderV2, FSQVectorQuantization

__all__ = [
    "T3Cond",
    "build_s3gen",
    "build_t3",
    "load_t3",
    "with_progress",
    "without_alignment",
    "without_progress",
]

logging.getLogger("chatterbox").setLevel(logging.ERROR)


def build_t3(config: T3Config) -> Any:
    """The library's T3 of these shapes, with its own random weights."""
    settings = _library_config(config)
    t3 = T3(settings)
    if not config.is_gpt2:
        t3.cond_enc.perceiver = Perceiver(
            PERCEIVER_QUERIES, config.width, config.width, PERCEIVER_HEADS
        )
    return t3.eval()


def load_t3(config: T3Config, path: Path) -> Any:
    """The library's T3 with the weights of a checkpoint, loaded strictly as the library does."""
    t3 = build_t3(config)
    t3.load_state_dict(load_file(path), strict=True)
    if config.is_gpt2:
        del t3.tfmr.wte  # as ChatterboxTurboTTS.from_local does
    return t3.eval()


def _library_config(config: T3Config) -> Any:
    settings = LibraryT3Config(text_tokens_dict_size=config.text_vocabulary)
    settings.speech_tokens_dict_size = config.speech_vocabulary
    settings.speech_cond_prompt_len = config.prompt_tokens
    settings.start_text_token, settings.stop_text_token = config.start_text, config.stop_text
    settings.start_speech_token = config.start_speech
    settings.stop_speech_token = config.stop_speech
    name = "GPT2_medium" if config.is_gpt2 else "Llama_520M"
    if config.is_gpt2:
        settings.input_pos_emb = None
        settings.use_perceiver_resampler = False
        settings.emotion_adv = False
        sizes = {
            "hidden_size": config.width,
            "n_embd": config.width,
            "n_head": config.heads,
            "n_layer": config.layers,
            "n_inner": config.ff_width,
            "vocab_size": config.text_vocabulary,
        }
    else:
        sizes = {
            "hidden_size": config.width,
            "intermediate_size": config.ff_width,
            "num_hidden_layers": config.layers,
            "num_attention_heads": config.heads,
            "num_key_value_heads": config.heads,
            "head_dim": config.head_width,
        }
    if any(LLAMA_CONFIGS[name].get(key, size) != size for key, size in sizes.items()):
        original, name = name, f"{name}_{config.layers}x{config.width}"
        LLAMA_CONFIGS[name] = {**LLAMA_CONFIGS[original], **sizes}
    settings.llama_config_name = name
    return settings


def build_s3gen(*, meanflow: bool, small: bool) -> Any:
    """The library's S3Gen with its own random weights.

    Small: one block where there are many, 64 to 128 channels; the rates, the mel bins, the
    vocabulary and the speaker encoder stay.
    """
    if not small:
        return S3Gen(meanflow=meanflow).eval()
    with _smaller_s3gen_parts():
        model = S3Gen(meanflow=meanflow)
    model.tokenizer.encoder = AudioEncoderV2(128, 128, 2, 1, 2, False)
    model.tokenizer.quantizer = FSQVectorQuantization(128, 3**8)
    return model.eval()


@contextmanager
def _smaller_s3gen_parts() -> Iterator[None]:
    """S3Gen's constructor builds its parts smaller while this is open."""
    smaller = {
        "UpsampleConformerEncoder": {"num_blocks": 1, "linear_units": 128, "attention_heads": 2},
        "ConditionalDecoder": {
            "channels": [64],
            "n_blocks": 1,
            "num_mid_blocks": 1,
            "num_heads": 2,
        },
        "HiFTGenerator": {"base_channels": 32},
    }
    kept = {name: getattr(s3gen_module, name) for name in smaller}

    def shrunk(cls: Any, sizes: dict[str, Any]) -> Any:
        return lambda **options: cls(**{**options, **sizes})

    try:
        for name, sizes in smaller.items():
            setattr(s3gen_module, name, shrunk(kept[name], sizes))
        yield
    finally:
        for name, cls in kept.items():
            setattr(s3gen_module, name, cls)


class _NoAnalyzer:
    """Stands in for the alignment analyzer and changes nothing."""

    def __init__(self, *_: object, eos_idx: int, **__: object) -> None:
        self.eos_idx = eos_idx

    def step(self, logits: Any, next_token: object = None) -> Any:
        return logits


@contextmanager
def without_alignment() -> Iterator[None]:
    """The library's multilingual inference without its alignment analyzer, as on its master."""
    kept = t3_module.AlignmentStreamAnalyzer
    t3_module.AlignmentStreamAnalyzer = _NoAnalyzer
    try:
        yield
    finally:
        t3_module.AlignmentStreamAnalyzer = kept


@contextmanager
def with_progress(steps: Callable[..., Any]) -> Iterator[None]:
    """The library's loops walk over ``steps(numbers, **options)`` in place of a progress bar."""
    kept = t3_module.tqdm
    t3_module.tqdm = steps
    try:
        yield
    finally:
        t3_module.tqdm = kept


def without_progress() -> Any:
    """The library's loops without their progress bars, which would cost it time."""
    return with_progress(lambda numbers, **_: numbers)
