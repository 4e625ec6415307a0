"""The memory that a model takes once it is loaded, and what the process holds on a device."""

from __future__ import annotations

import math
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch

from mynah.engines.chatterbox.checkpoint import MODELS, find_checkpoint, read_header
from mynah.engines.chatterbox.loading import choose_device, choose_precision, decoder_options
from mynah.engines.chatterbox.quantization import Precision
from mynah.engines.chatterbox.rows import MODEL_IDS
from mynah.engines.chatterbox.t3.config import is_matrix, is_unused
from mynah.errors import EngineUnavailable
from mynah.settings import MiB, Settings, load_settings

_T3_BYTES: Final = {Precision.FP32: 4, Precision.BF16: 2, Precision.INT8: 1}
_EXACT_BYTES: Final = 4
_IN_DECODER: Final = ("flow.", "mel2wav.")  # what of S3Gen runs in the decoder's format


def needed_memory(engine_id: str, settings: Settings | None = None) -> int:
    """Bytes of a model's weights in the format that the settings choose, and the most that its
    caches may grow to; 0 while its files are not there. Raises EngineUnavailable."""
    settings = settings or load_settings()
    files = MODELS[MODEL_IDS[engine_id]]
    try:
        folder = find_checkpoint(files, settings.chatterbox_dir, may_download=False)
    except EngineUnavailable:
        return 0
    precision = choose_precision(
        settings.chatterbox_precision, choose_device(settings.chatterbox_device)
    )
    decoder_width = decoder_options(precision).flow_dtype.itemsize
    weights = (
        _bytes(folder / files.t3, lambda name: _t3_bytes(name, precision))
        + _bytes(
            folder / files.s3gen,
            lambda name: decoder_width if name.startswith(_IN_DECODER) else _EXACT_BYTES,
        )
        + _bytes(folder / files.voice_encoder, lambda _: _EXACT_BYTES)
    )
    return weights + (settings.chatterbox_cache_mib + settings.chatterbox_prefix_mib) * MiB


def _t3_bytes(name: str, precision: Precision) -> int:
    if is_unused(name):
        return 0
    return _T3_BYTES[precision] if is_matrix(name) else _EXACT_BYTES


def device_bytes(device: Any) -> int:
    """What this process holds on a device; on the CPU, all of its memory."""
    if device.type == "cuda":
        return int(torch.cuda.memory_reserved(device))
    if device.type == "mps":
        return int(torch.mps.driver_allocated_memory())
    try:
        resident_pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # not Linux: the most that it ever was
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return resident_pages * resource.getpagesize()


def _bytes(path: Path, width: Callable[[str], int]) -> int:
    """All tensors of a file, each number of the width that its name gives."""
    return sum(math.prod(entry["shape"]) * width(name) for name, entry in read_header(path).items())
