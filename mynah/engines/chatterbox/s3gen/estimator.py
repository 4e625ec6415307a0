"""The flow's estimator: which way each mel frame moves at a step, for many requests at a time.

The network is the library's ``ConditionalDecoder`` with its weights; the forward pass is ours.
It stays in (rows, frames, channels) throughout, so that convolutions and attention projections
are plain matrix products, asks for a mask only where rows differ in length, and takes the time
embeddings, which are constants of a solver, from a table. Convolutions look back only, so the
padding behind a row never reaches its frames except through attention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

_KERNEL = 3  # frames that each causal convolution sees


@dataclass(frozen=True, slots=True)
class _Affine:
    """``weight`` (outputs, inputs); a convolution's inputs are its frames side by side."""

    weight: torch.Tensor
    bias: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class _ConvBlock:
    conv: _Affine
    norm: _Affine


@dataclass(frozen=True, slots=True)
class _Resnet:
    first: _ConvBlock
    second: _ConvBlock
    shortcut: _Affine


@dataclass(frozen=True, slots=True)
class _Transformer:
    attention_norm: _Affine
    qkv: _Affine
    out: _Affine
    ff_norm: _Affine
    ff_in: _Affine
    ff_out: _Affine
    heads: int


@dataclass(frozen=True, slots=True)
class _Stage:
    resnet: _Resnet
    transformers: tuple[_Transformer, ...]


class Estimator:
    """The library's ``ConditionalDecoder`` (one level of channels, causal) in ``dtype``."""

    def __init__(self, decoder: Any, dtype: torch.dtype) -> None:
        """``decoder``: the module, whose weights are copied. ValueError for other layouts."""
        if len(decoder.down_blocks) != 1 or len(decoder.up_blocks) != 1 or not decoder.causal:
            raise ValueError("only a causal decoder with one level of channels is supported")
        self.dtype = dtype
        with torch.inference_mode():
            down, up = decoder.down_blocks[0], decoder.up_blocks[0]
            blocks = [down[:2], *decoder.mid_blocks, up[:2]]
            self._stages = [self._stage(resnet, parts) for resnet, parts in blocks]
            self._down, self._up = self._conv(down[2]), self._conv(up[2])
            self._final = self._conv_block(decoder.final_block)
            self._output = self._conv(decoder.final_proj)
        # Only these, so that the module's own weights can be freed.
        self._embed_time, self._time_mlp = decoder.time_embeddings, decoder.time_mlp
        self._time_mixer = decoder.time_embed_mixer if decoder.meanflow else None
        self._stage_mlps = [resnet.mlp for resnet, _ in blocks]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._output.weight.device

    def time_biases(self, times: torch.Tensor) -> torch.Tensor:
        """What the steps add in each stage: ``times`` (steps + 1,) -> (steps, stages, channels).

        Step i goes from ``times[i]`` to ``times[i + 1]``; the end counts for mean-flow models
        only. In float32 whatever the estimator's dtype.
        """
        with torch.inference_mode():
            embedded = self._time_mlp(self._embed_time(times))
            start, end = embedded[:-1], embedded[1:]
            if self._time_mixer is not None:
                start = self._time_mixer(torch.cat([start, end], dim=1))
            return torch.stack([mlp(start) for mlp in self._stage_mlps], dim=1).to(self.dtype)

    def __call__(
        self, inputs: torch.Tensor, time_bias: torch.Tensor, key_mask: torch.Tensor | None
    ) -> torch.Tensor:
        """The velocity (rows, frames, mels) of ``inputs`` (rows, frames, channels).

        ``time_bias`` (rows, stages, channels), from ``time_biases``. ``key_mask`` (rows, 1, 1,
        frames) is true for a row's own frames; None: all rows are full.
        """
        hidden = self._run(0, inputs, time_bias, key_mask)
        skipped = hidden
        hidden = _causal_conv(hidden, self._down)
        for index in range(1, len(self._stages) - 1):
            hidden = self._run(index, hidden, time_bias, key_mask)
        hidden = torch.cat([hidden, skipped], dim=-1)
        hidden = self._run(len(self._stages) - 1, hidden, time_bias, key_mask)
        hidden = _conv_block(_causal_conv(hidden, self._up), self._final)
        return functional.linear(hidden, self._output.weight, self._output.bias)

    def _run(
        self, index: int, x: torch.Tensor, time_bias: torch.Tensor, key_mask: torch.Tensor | None
    ) -> torch.Tensor:
        stage = self._stages[index]
        x = _resnet(x, stage.resnet, time_bias[:, index, None])
        for transformer in stage.transformers:
            x = _transformer(x, transformer, key_mask)
        return x

    def _stage(self, resnet: Any, transformers: Any) -> _Stage:
        blocks = _Resnet(
            self._conv_block(resnet.block1),
            self._conv_block(resnet.block2),
            self._conv(resnet.res_conv),
        )
        return _Stage(blocks, tuple(self._transformer(block) for block in transformers))

    def _transformer(self, block: Any) -> _Transformer:
        attention = block.attn1
        qkv = torch.cat(
            [layer.weight for layer in (attention.to_q, attention.to_k, attention.to_v)]
        )
        return _Transformer(
            self._affine(block.norm1),
            _Affine(self._kept(qkv), None),
            self._affine(attention.to_out[0]),
            self._affine(block.norm3),
            self._affine(block.ff.net[0].proj),
            self._affine(block.ff.net[2]),
            attention.heads,
        )

    def _conv_block(self, block: Any) -> _ConvBlock:
        return _ConvBlock(self._conv(block.block[0]), self._affine(block.block[2]))

    def _conv(self, conv: Any) -> _Affine:
        weight = conv.weight.permute(0, 2, 1)  # (outputs, frames, inputs)
        return _Affine(self._kept(weight.reshape(weight.shape[0], -1)), self._kept(conv.bias))

    def _affine(self, layer: Any) -> _Affine:
        return _Affine(self._kept(layer.weight), self._kept(layer.bias))

    def _kept(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.detach().to(self.dtype, copy=True).contiguous()


def _causal_conv(x: torch.Tensor, conv: _Affine) -> torch.Tensor:
    """Each frame with the two before it, side by side, times the weights."""
    rows, frames, channels = x.shape
    padded = functional.pad(x, (0, 0, _KERNEL - 1, 0))
    windows = padded.as_strided((rows, frames, _KERNEL * channels), (padded.stride(0), channels, 1))
    return functional.linear(windows, conv.weight, conv.bias)


def _conv_block(x: torch.Tensor, block: _ConvBlock) -> torch.Tensor:
    return functional.mish(_norm(_causal_conv(x, block.conv), block.norm))


def _resnet(x: torch.Tensor, resnet: _Resnet, time_bias: torch.Tensor) -> torch.Tensor:
    hidden = _conv_block(x, resnet.first) + time_bias
    shortcut = functional.linear(x, resnet.shortcut.weight, resnet.shortcut.bias)
    return _conv_block(hidden, resnet.second) + shortcut


def _transformer(
    x: torch.Tensor, block: _Transformer, key_mask: torch.Tensor | None
) -> torch.Tensor:
    rows, frames, _ = x.shape
    qkv = functional.linear(_norm(x, block.attention_norm), block.qkv.weight)
    query, key, value = qkv.view(rows, frames, 3, block.heads, -1).permute(2, 0, 3, 1, 4)
    mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=key_mask)
    mixed = mixed.transpose(1, 2).reshape(rows, frames, -1)
    x = x + functional.linear(mixed, block.out.weight, block.out.bias)
    hidden = functional.gelu(
        functional.linear(_norm(x, block.ff_norm), block.ff_in.weight, block.ff_in.bias)
    )
    return x + functional.linear(hidden, block.ff_out.weight, block.ff_out.bias)


def _norm(x: torch.Tensor, norm: _Affine) -> torch.Tensor:
    return functional.layer_norm(x, (x.shape[-1],), norm.weight, norm.bias)
