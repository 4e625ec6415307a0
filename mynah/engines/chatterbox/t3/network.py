"""T3's transformer: one implementation for the Llama blocks and the GPT-2 blocks.

Built from a checkpoint's tensors into fused matrices (queries, keys and values in one; gate and
up in one). It holds no state: keys and values are the caller's, so are positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.nn import functional

from mynah.engines.chatterbox.quantization import Linear, Precision, build_linear
from mynah.engines.chatterbox.t3.config import T3Config

Norm = Callable[[Any], Any]

# LLAMA_520M_CONFIG_DICT of chatterbox-tts: rope_theta and rope_scaling ("llama3").
_ROPE_THETA: Final = 500_000.0
_ROPE_FACTOR: Final = 8.0
_ROPE_LOW_FREQUENCY: Final = 1.0
_ROPE_HIGH_FREQUENCY: Final = 4.0
_ROPE_TRAINED_POSITIONS: Final = 8192


@dataclass(frozen=True, slots=True)
class _Layer:
    attention_norm: Norm
    qkv: Linear
    attention_out: Linear
    feed_forward_norm: Norm
    up: Linear
    down: Linear


@dataclass(frozen=True, slots=True)
class Attended:
    """What some rows of one forward pass attend to.

    ``keys``, ``values``: (layers, rows, heads, length, head width), views whose new positions
    are written on the way. ``rows`` (rows, 1): the rows' numbers in them. ``places``: for each
    new position of each row its index in them, (rows, new). ``mask``: (rows, 1, new, length), 0
    where a query may look and -inf elsewhere.
    """

    keys: Any
    values: Any
    rows: Any
    places: Any
    mask: Any

    @classmethod
    def build(cls, keys: Any, values: Any, places: Any) -> Attended:
        """Each new position sees every place up to its own."""
        length = keys.shape[3]
        seen = torch.arange(length, device=places.device) <= places[:, :, None]
        mask = torch.zeros(seen.shape, dtype=keys.dtype, device=places.device)
        rows = torch.arange(len(places), device=places.device)[:, None]
        return cls(keys, values, rows, places, mask.masked_fill_(~seen, -torch.inf)[:, None])


class Network:
    """The blocks and the final norm: embeddings in, hidden states out."""

    def __init__(
        self, config: T3Config, tensors: Mapping[str, Any], precision: Precision, device: Any
    ) -> None:
        self.config = config
        self.dtype = precision.activations(device)
        build = _gpt2_layer if config.is_gpt2 else _llama_layer
        self._layers = [
            build(config, tensors, index, precision, device) for index in range(config.layers)
        ]
        self._final_norm = _build_norm(
            config, tensors, "tfmr.ln_f" if config.is_gpt2 else "tfmr.norm", self.dtype, device
        )
        self._rotations = None if config.is_gpt2 else _rotations(config, device)
        self._activation = _gelu if config.is_gpt2 else _swiglu

    def forward(self, embeddings: Any, parts: Sequence[Attended]) -> Any:
        """(positions, width) -> the same; writes keys and values on the way.

        The positions of all ``parts`` follow each other, in each part row after row: only
        attention has to know whose they are.
        """
        hidden = embeddings.to(self.dtype)
        rotation = None
        if self._rotations is not None:
            places = torch.cat([part.places.flatten() for part in parts])
            rotation = self._rotations[places][:, None]
        for index, layer in enumerate(self._layers):
            hidden = hidden + self._attend(layer, index, hidden, parts, rotation)
            inner = self._activation(layer.up(layer.feed_forward_norm(hidden)))
            hidden = hidden + layer.down(inner)
        return self._final_norm(hidden)

    def _attend(
        self, layer: _Layer, index: int, hidden: Any, parts: Sequence[Attended], rotation: Any
    ) -> Any:
        config = self.config
        qkv = layer.qkv(layer.attention_norm(hidden)).view(-1, 3 * config.heads, config.head_width)
        both, value = qkv[:, : 2 * config.heads], qkv[:, 2 * config.heads :]
        if rotation is not None:
            both = _rotate(both, rotation)
        query, key = both[:, : config.heads], both[:, config.heads :]
        sizes = [part.places.numel() for part in parts]
        split = zip(parts, *(x.split(sizes) for x in (query, key, value)), strict=True)
        mixed = [self._mix(index, *one) for one in split]
        return layer.attention_out(mixed[0] if len(mixed) == 1 else torch.cat(mixed))

    def _mix(self, index: int, part: Attended, query: Any, key: Any, value: Any) -> Any:
        """What one part's queries (positions, heads, head width) find, (positions, width)."""
        shape = (*part.places.shape, *query.shape[1:])
        keys, values = part.keys[index], part.values[index]
        keys[part.rows, :, part.places] = key.view(shape).to(keys.dtype)
        values[part.rows, :, part.places] = value.view(shape).to(values.dtype)
        mixed = functional.scaled_dot_product_attention(
            query.view(shape).transpose(1, 2).to(keys.dtype), keys, values, attn_mask=part.mask
        )
        return mixed.transpose(1, 2).reshape(-1, self.config.width).to(self.dtype)


def _swiglu(gate_and_up: Any) -> Any:
    gate, up = gate_and_up.chunk(2, -1)
    return functional.silu(gate).mul_(up)


def _gelu(x: Any) -> Any:
    return functional.gelu(x, approximate="tanh")


def _rotate(heads: Any, rotation: Any) -> Any:
    """Rotary positions: neighbouring channels are the real and imaginary part of one number."""
    pairs = torch.view_as_complex(heads.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * rotation).flatten(-2).to(heads.dtype)


def _rotations(config: T3Config, device: Any) -> Any:
    """(positions, head width / 2) complex: Llama 3's rotary frequencies.

    Source: ``_compute_llama3_parameters`` of transformers.
    """
    exponents = torch.arange(0, config.head_width, 2, dtype=torch.float32) / config.head_width
    frequencies = 1.0 / (_ROPE_THETA**exponents)
    wavelengths = 2 * math.pi / frequencies
    smooth = (_ROPE_TRAINED_POSITIONS / wavelengths - _ROPE_LOW_FREQUENCY) / (
        _ROPE_HIGH_FREQUENCY - _ROPE_LOW_FREQUENCY
    )
    slowed = frequencies / _ROPE_FACTOR
    between = (1 - smooth) * slowed + smooth * frequencies
    long = wavelengths > _ROPE_TRAINED_POSITIONS / _ROPE_LOW_FREQUENCY
    short = wavelengths < _ROPE_TRAINED_POSITIONS / _ROPE_HIGH_FREQUENCY
    frequencies = torch.where(long, slowed, torch.where(short, frequencies, between))
    places = config.prefix_length + config.text_positions + config.speech_positions
    angles = torch.arange(places, dtype=torch.float32)[:, None] * frequencies
    return torch.complex(angles.cos(), angles.sin()).to(device)


def _build_norm(
    config: T3Config, tensors: Mapping[str, Any], name: str, dtype: Any, device: Any
) -> Norm:
    weight = tensors[f"{name}.weight"].to(device, dtype)
    shape = (config.width,)
    if config.is_gpt2:
        bias = tensors[f"{name}.bias"].to(device, dtype)
        return lambda x: functional.layer_norm(x, shape, weight, bias, config.norm_epsilon)
    return lambda x: functional.rms_norm(x, shape, weight, config.norm_epsilon)


def _llama_layer(
    config: T3Config, tensors: Mapping[str, Any], index: int, precision: Precision, device: Any
) -> _Layer:
    prefix = f"tfmr.layers.{index}"
    query, key, value = (tensors[f"{prefix}.self_attn.{n}_proj.weight"] for n in "qkv")
    qkv = torch.cat([_neighbours(config, query), _neighbours(config, key), value])
    up = torch.cat([tensors[f"{prefix}.mlp.{n}_proj.weight"] for n in ("gate", "up")])
    out = tensors[f"{prefix}.self_attn.o_proj.weight"]
    down = tensors[f"{prefix}.mlp.down_proj.weight"]
    dtype = precision.activations(device)
    return _Layer(
        _build_norm(config, tensors, f"{prefix}.input_layernorm", dtype, device),
        build_linear(qkv, None, precision, device),
        build_linear(out, None, precision, device),
        _build_norm(config, tensors, f"{prefix}.post_attention_layernorm", dtype, device),
        build_linear(up, None, precision, device),
        build_linear(down, None, precision, device),
    )


def _neighbours(config: T3Config, weight: Any) -> Any:
    """Order a head's channels 0, h, 1, h+1, … where they came 0 … h-1, h … 2h-1.

    The library rotates channel c with channel c+h. Queries and keys are ordered alike, so
    their products stay what they are.
    """
    by_head = weight.view(config.heads, 2, config.head_width // 2, -1)
    return by_head.transpose(1, 2).reshape(weight.shape)


def _gpt2_layer(
    config: T3Config, tensors: Mapping[str, Any], index: int, precision: Precision, device: Any
) -> _Layer:
    prefix = f"tfmr.h.{index}"

    def linear(name: str) -> Linear:
        weight, bias = tensors[f"{prefix}.{name}.weight"], tensors[f"{prefix}.{name}.bias"]
        return build_linear(weight.t(), bias, precision, device)

    dtype = precision.activations(device)
    return _Layer(
        _build_norm(config, tensors, f"{prefix}.ln_1", dtype, device),
        linear("attn.c_attn"),
        linear("attn.c_proj"),
        _build_norm(config, tensors, f"{prefix}.ln_2", dtype, device),
        linear("mlp.c_fc"),
        linear("mlp.c_proj"),
    )
