"""Linear layers in the number formats that T3 can run in, packed once at loading.

On the CPU the weights are laid out for oneDNN, so that no step pays for it. int8 keeps one scale
per output of the weights and takes one scale per row of the input, at run time: a row's result
does not depend on the rows that happen to share its batch.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

import torch
from torch.nn import functional

from mynah.errors import EngineUnavailable

Linear = Callable[[Any], Any]  # (rows, inputs) float32 -> (rows, outputs) float32

_ZERO_POINT: Final = 128  # activations are stored as uint8, symmetric around this
_PACKED_ROWS: Final = 2  # a single speaker with guidance: what the layout is tuned for


class Precision(StrEnum):
    """The number format of the weights. int8 is for the CPU."""

    FP32 = "fp32"
    BF16 = "bf16"
    INT8 = "int8"

    def activations(self, device: Any) -> Any:
        """The type that activations have between the layers."""
        on_gpu = device.type != "cpu"
        return torch.bfloat16 if on_gpu and self is Precision.BF16 else torch.float32

    @property
    def cache(self) -> Any:
        """The type of the keys and values kept for attention."""
        return torch.float32 if self is Precision.FP32 else torch.bfloat16


def build_linear(weight: Any, bias: Any, precision: Precision, device: Any) -> Linear:
    """A linear layer; ``weight`` (outputs, inputs) float, ``bias`` (outputs,) or None.

    Raises EngineUnavailable where this machine cannot run the format.
    """
    weight = weight.float().contiguous()
    if precision is Precision.INT8:
        return _int8_linear(weight, bias, device)
    dtype = torch.bfloat16 if precision is Precision.BF16 else torch.float32
    if device.type == "cpu" and torch.backends.mkldnn.is_available():
        return _packed_linear(weight.to(dtype), bias, dtype)
    weight = weight.to(device, dtype)
    bias = None if bias is None else bias.to(device, dtype)
    return lambda x: functional.linear(x, weight, bias)


def _packed_linear(weight: Any, bias: Any, dtype: Any) -> Linear:
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, _PACKED_ROWS)
    bias = None if bias is None else bias.to(dtype)
    run = torch.ops.mkldnn._linear_pointwise

    if dtype is torch.float32:
        return lambda x: run(x, packed, bias, "none", [], "")
    return lambda x: run(x.to(dtype), packed, bias, "none", [], "").float()


def quantize_weight(weight: Any) -> tuple[Any, Any]:
    """(outputs, inputs) as int8 and a float32 scale per output."""
    scale = weight.abs().amax(1).clamp_min(1e-8) / 127
    return (weight / scale[:, None]).round_().clamp_(-127, 127).to(torch.int8), scale


def _int8_linear(weight: Any, bias: Any, device: Any) -> Linear:
    if device.type != "cpu" or platform.machine().lower() not in ("x86_64", "amd64"):
        raise EngineUnavailable(
            f"Chatterbox: int8 runs on x86 processors only, not on {device.type} "
            f"({platform.machine()}); choose bf16 or fp32."
        )
    # Without VNNI products of 8 and 8 bits are added up in 16: half the range cannot overflow.
    levels = 127 if torch.cpu._is_vnni_supported() else 63
    quantized, scale = quantize_weight(weight)
    packed = torch.ops.onednn.qlinear_prepack(quantized, None)
    zero_points = torch.zeros(len(scale), dtype=torch.int32)
    bias = None if bias is None else bias.float()
    least, middle = torch.tensor(1e-12), torch.tensor(_ZERO_POINT + 0.5)
    run = torch.ops.onednn.qlinear_pointwise

    def linear(x: Any) -> Any:
        row_scale = torch.add(least, x.abs().amax(-1, keepdim=True), alpha=1 / levels)
        rounded = torch.addcdiv(middle, x, row_scale).to(torch.uint8)
        product = run(
            rounded, 1.0, _ZERO_POINT, packed, scale, zero_points, None,
            1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        product = product.mul_(row_scale)
        return product if bias is None else product.add_(bias)

    return linear
