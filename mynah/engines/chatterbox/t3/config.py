"""The shapes of the three T3 models and the names of their tensors; no torch.

Sources: ``T3Config`` and ``LLAMA_CONFIGS`` of chatterbox-tts 0.1.7, and for Turbo the values
that ``ChatterboxTurboTTS.from_local`` sets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

PERCEIVER_QUERIES: Final = 32
PERCEIVER_HEADS: Final = 4
SPEAKER_WIDTH: Final = 256
GPT2_POSITIONS: Final = 8196
GPT2_VOCABULARY: Final = 50276


@dataclass(frozen=True, slots=True)
class T3Config:
    """One T3 model. Widths are numbers of channels, ``positions`` numbers of learned places."""

    family: Literal["llama", "gpt2"]
    layers: int
    width: int
    heads: int
    ff_width: int
    text_vocabulary: int
    speech_vocabulary: int
    prompt_tokens: int  # of the reference recording
    text_positions: int = 2048 + 2
    speech_positions: int = 4096 + 4
    start_text: int = 255
    stop_text: int = 0
    start_speech: int = 6561
    stop_speech: int = 6562
    norm_epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        """Channels of one attention head."""
        return self.width // self.heads

    @property
    def is_gpt2(self) -> bool:
        """Turbo: no guidance, no perceiver, no emotion, positions inside the network."""
        return self.family == "gpt2"

    @property
    def prefix_length(self) -> int:
        """Positions that hold the voice, before the text."""
        return 1 + self.prompt_tokens if self.is_gpt2 else 1 + PERCEIVER_QUERIES + 1


ENGLISH: Final = T3Config("llama", 30, 1024, 16, 4096, 704, 8194, 150)
MULTILINGUAL: Final = T3Config("llama", 30, 1024, 16, 4096, 2454, 8194, 150)
TURBO: Final = T3Config("gpt2", 24, 1024, 16, 4096, GPT2_VOCABULARY, 6563, 375)

Shape = tuple[int, ...]

_MATRICES: Final = ("_proj.weight", ".c_attn.weight", ".c_fc.weight", "speech_head.weight")
_UNUSED: Final = ("text_head.weight", "tfmr.embed_tokens.weight", "tfmr.wte.weight")


def tensor_shapes(config: T3Config) -> dict[str, Shape]:
    """Every tensor of the model's safetensors file, by name."""
    shapes = dict(_shared_shapes(config))
    shapes.update(_gpt2_shapes(config) if config.is_gpt2 else _llama_shapes(config))
    return shapes


def is_matrix(name: str) -> bool:
    """Whether a tensor is a matrix of the network, which is laid out anew in the number format that
    was chosen; the others are kept as they are."""
    return name.endswith(_MATRICES)


def is_unused(name: str) -> bool:
    """Whether a tensor is in the file, but not in the model."""
    return name in _UNUSED


def _shared_shapes(config: T3Config) -> Iterator[tuple[str, Shape]]:
    width = config.width
    yield "cond_enc.spkr_enc.weight", (width, SPEAKER_WIDTH)
    yield "cond_enc.spkr_enc.bias", (width,)
    yield "text_emb.weight", (config.text_vocabulary, width)
    yield "speech_emb.weight", (config.speech_vocabulary, width)
    yield "text_head.weight", (config.text_vocabulary, width)
    yield "speech_head.weight", (config.speech_vocabulary, width)


def _llama_shapes(config: T3Config) -> Iterator[tuple[str, Shape]]:
    width, ff_width = config.width, config.ff_width
    yield "cond_enc.emotion_adv_fc.weight", (width, 1)
    yield "cond_enc.perceiver.pre_attention_query", (1, PERCEIVER_QUERIES, width)
    for name in ("norm", "to_q", "to_k", "to_v", "proj_out"):
        weight: Shape = (width,) if name == "norm" else (width, width)
        yield f"cond_enc.perceiver.attn.{name}.weight", weight
        yield f"cond_enc.perceiver.attn.{name}.bias", (width,)
    yield "text_pos_emb.emb.weight", (config.text_positions, width)
    yield "speech_pos_emb.emb.weight", (config.speech_positions, width)
    yield "tfmr.embed_tokens.weight", (8, width)  # never used, but in the file
    yield "tfmr.norm.weight", (width,)
    for layer in range(config.layers):
        prefix = f"tfmr.layers.{layer}"
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            yield f"{prefix}.self_attn.{name}.weight", (width, width)
        yield f"{prefix}.mlp.gate_proj.weight", (ff_width, width)
        yield f"{prefix}.mlp.up_proj.weight", (ff_width, width)
        yield f"{prefix}.mlp.down_proj.weight", (width, ff_width)
        yield f"{prefix}.input_layernorm.weight", (width,)
        yield f"{prefix}.post_attention_layernorm.weight", (width,)


def _gpt2_shapes(config: T3Config) -> Iterator[tuple[str, Shape]]:
    width, ff_width = config.width, config.ff_width
    yield "speech_head.bias", (config.speech_vocabulary,)
    yield "tfmr.wte.weight", (config.text_vocabulary, width)  # never used, but in the file
    yield "tfmr.wpe.weight", (GPT2_POSITIONS, width)
    yield "tfmr.ln_f.weight", (width,)
    yield "tfmr.ln_f.bias", (width,)
    for layer in range(config.layers):
        prefix = f"tfmr.h.{layer}"
        for name, inputs, outputs in (
            ("attn.c_attn", width, 3 * width),
            ("attn.c_proj", width, width),
            ("mlp.c_fc", width, ff_width),
            ("mlp.c_proj", ff_width, width),
        ):
            yield f"{prefix}.{name}.weight", (inputs, outputs)  # GPT-2 stores them transposed
            yield f"{prefix}.{name}.bias", (outputs,)
        for name in ("ln_1", "ln_2"):
            yield f"{prefix}.{name}.weight", (width,)
            yield f"{prefix}.{name}.bias", (width,)
