"""The vocoder: waveforms of mel frames, with an excitation that continues across chunks.

The network is the library's ``HiFTGenerator`` (neural source filter and inverse STFT,
https://arxiv.org/abs/2309.09493) with weight norm folded into the weights once. The excitation
is computed here: its phase is carried from frame to frame and its noise depends on the frame's
absolute number, so that a frame sounds alike wherever a chunk begins.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize

from mynah.engines.chatterbox.s3gen.layout import SAMPLE_RATE, SAMPLES_PER_FRAME

# 1 / alpha of the Snake activations must stay below float16's 65,504.
_SMALLEST_HALF_ALPHA: Final = 1 / 6e4
_SNAKE_EPSILON: Final = 1e-9  # the library's
_LARGEST_MAGNITUDE: Final = 1e2
_SLOPE: Final = 0.01  # of the last leaky ReLU, torch's default


@dataclass(frozen=True, slots=True)
class Excitation:
    """``samples`` (rows, 1, frames * SAMPLES_PER_FRAME). ``cycles`` (rows, frames + 1, harmonics):
    the phase before each frame and after the last, in cycles."""

    samples: torch.Tensor
    cycles: torch.Tensor


class Vocoder:
    """Mel frames to samples; all state is in the arguments.

    ``dtype`` is that of the convolutions; pitch, excitation and the transforms are float32.
    """

    def __init__(self, hift: Any, dtype: torch.dtype = torch.float32) -> None:
        network = copy.deepcopy(hift)
        _fold_weight_norm(network)
        self.harmonics = int(network.nb_harmonics) + 1
        self._sine = network.m_source.l_sin_gen
        self._merge = network.m_source.l_linear
        self._pitch = network.f0_predictor
        self._dtype = dtype
        for part in (
            "conv_pre",
            "ups",
            "source_downs",
            "source_resblocks",
            "resblocks",
            "conv_post",
        ):
            getattr(network, part).to(dtype)
        if dtype == torch.float16:
            _widen_alphas(network)
        self._network = network
        self._window = network.stft_window.to(self._merge.weight.device)

    def pitch(self, mel: torch.Tensor) -> torch.Tensor:
        """F0 in Hz, (rows, frames), of ``mel`` (rows, MELS, frames); sees 5 frames each way."""
        with torch.inference_mode():
            f0: torch.Tensor = self._pitch(mel)
        return f0

    def excite(
        self, f0: torch.Tensor, phase: torch.Tensor, noise: torch.Tensor, cycles: torch.Tensor
    ) -> Excitation:
        """The excitation of ``f0`` (rows, frames).

        ``phase`` (rows, harmonics) in radians, that of a request; ``noise`` (rows, harmonics,
        samples); ``cycles`` (rows, harmonics): where the phase of the frames before ended.
        F0 is constant within a frame, so the phase needs no running sum over samples: it is
        summed over frames, as fractions, and stays exact in float32 however long the speech.
        """
        with torch.inference_mode():
            numbers = torch.arange(1, self.harmonics + 1, device=f0.device)
            pace = f0[..., None] * numbers / SAMPLE_RATE  # cycles per sample
            ends = (cycles[:, None] + torch.cumsum((pace * SAMPLES_PER_FRAME) % 1.0, dim=1)) % 1.0
            borders = torch.cat([cycles[:, None], ends], dim=1)
            within = torch.arange(1, SAMPLES_PER_FRAME + 1, device=f0.device)
            places = (borders[:, :-1, :, None] + pace[..., None] * within) % 1.0
            theta = 2 * math.pi * places.permute(0, 2, 1, 3).flatten(2)
            waves = self._sine.sine_amp * torch.sin(theta + phase[..., None])
            is_voiced = (f0 > self._sine.voiced_threshold).float()[:, None]
            is_voiced = is_voiced.repeat_interleave(SAMPLES_PER_FRAME, dim=2)
            level = is_voiced * self._sine.noise_std + (1 - is_voiced) * self._sine.sine_amp / 3
            sources = (waves * is_voiced + level * noise).transpose(1, 2)
            samples = torch.tanh(self._merge(sources)).transpose(1, 2)
        return Excitation(samples, borders)

    def render(self, mel: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """Samples (rows, frames * SAMPLES_PER_FRAME) of ``mel`` (rows, MELS, frames) and the
        excitation's samples (rows, 1, frames * SAMPLES_PER_FRAME)."""
        network, size = self._network, self._network.istft_params["n_fft"]
        hop = network.istft_params["hop_len"]
        with torch.inference_mode():
            spectrum = torch.stft(
                source[:, 0], size, hop, size, window=self._window, return_complex=True
            )
            spectrum = torch.cat([spectrum.real, spectrum.imag], dim=1).to(self._dtype)
            hidden = self._filter(mel.to(self._dtype), spectrum).float()
            half = size // 2 + 1
            magnitude = torch.exp(hidden[:, :half]).clip(max=_LARGEST_MAGNITUDE)
            phase = torch.sin(hidden[:, half:])
            samples: torch.Tensor = torch.istft(
                torch.polar(magnitude, phase), size, hop, size, window=self._window
            )
            return samples.clamp(-network.audio_limit, network.audio_limit)

    def _filter(self, mel: torch.Tensor, spectrum: torch.Tensor) -> torch.Tensor:
        network = self._network
        kernels, last = network.num_kernels, network.num_upsamples - 1
        x = network.conv_pre(mel)
        for index in range(network.num_upsamples):
            x = network.ups[index](functional.leaky_relu(x, network.lrelu_slope))
            if index == last:
                x = network.reflection_pad(x)
            source = network.source_downs[index](spectrum)
            x = x + _resblock(source, network.source_resblocks[index])
            blocks = network.resblocks[index * kernels : (index + 1) * kernels]
            total = _resblock(x, blocks[0])
            for block in blocks[1:]:
                total += _resblock(x, block)
            x = total / kernels
        filtered: torch.Tensor = network.conv_post(functional.leaky_relu(x, _SLOPE))
        return filtered


def _fold_weight_norm(module: Any) -> None:
    """Replaces convolutions with weight norm by plain ones. (torch's own removal takes the norm
    from a class that a copy shares with its original.)"""
    for name, child in module.named_children():
        if parametrize.is_parametrized(child, "weight"):
            setattr(module, name, _plain_convolution(child))
        else:
            _fold_weight_norm(child)


def _plain_convolution(conv: Any) -> Any:
    kind = nn.ConvTranspose1d if isinstance(conv, nn.ConvTranspose1d) else nn.Conv1d
    plain = kind(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        dilation=conv.dilation,
    ).to(conv.weight.device)
    with torch.no_grad():
        plain.weight.copy_(conv.weight)
        plain.bias.copy_(conv.bias)
    return plain


def _resblock(x: torch.Tensor, block: Any) -> torch.Tensor:
    parts = zip(block.activations1, block.convs1, block.activations2, block.convs2, strict=True)
    for first, conv, second, conv2 in parts:
        hidden = conv(_snake(x, first.alpha))
        x = conv2(_snake(hidden, second.alpha)).add_(x)
    return x


def _snake(x: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """x + sin(alpha x)^2 / alpha (https://arxiv.org/abs/2006.08195)."""
    alpha = alpha[:, None]
    waves = torch.sin(x * alpha)
    return waves.mul_(waves).mul_(1.0 / (alpha + _SNAKE_EPSILON)).add_(x)


def _widen_alphas(network: Any) -> None:
    with torch.no_grad():
        for name, alpha in network.named_parameters():
            if name.endswith(".alpha"):
                small = alpha.abs() < _SMALLEST_HALF_ALPHA
                floor = torch.full_like(alpha, _SMALLEST_HALF_ALPHA).copysign(alpha)
                alpha.copy_(torch.where(small, floor, alpha))
