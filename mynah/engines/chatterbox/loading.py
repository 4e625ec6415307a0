"""From settings to a T3 that serves: which device, which number format, whose files."""

from __future__ import annotations

from typing import Any, Final

import torch

from mynah.engines.chatterbox.checkpoint import MODELS, find_checkpoint
from mynah.engines.chatterbox.quantization import Precision
from mynah.engines.chatterbox.scheduler import SchedulerLimits, SpeechScheduler
from mynah.engines.chatterbox.t3.model import T3Model
from mynah.errors import EngineUnavailable
from mynah.settings import MiB, Settings

_STEPS_PER_READBACK_ON_GPU: Final = 4


def choose_device(wanted: str) -> Any:
    """``auto``: the first of cuda, mps, cpu that is there. Raises EngineUnavailable."""
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        wanted = next(name for name, is_there in there.items() if is_there)
    if not there.get(wanted.partition(":")[0], False):
        raise EngineUnavailable(f"Chatterbox: this machine has no device {wanted!r}.")
    return torch.device(wanted)


def choose_precision(wanted: str, device: Any) -> Precision:
    """``auto``: bf16 on CUDA, else float32, which is exact. int8 is a choice."""
    if wanted == "auto":
        return Precision.BF16 if device.type == "cuda" else Precision.FP32
    return Precision(wanted)


def load_t3(model_id: str, settings: Settings) -> SpeechScheduler:
    """Load ``english``, ``multilingual`` or ``turbo`` and start its scheduler.

    Raises EngineUnavailable that says which file, device or format is at fault.
    """
    files = MODELS[model_id]
    folder = find_checkpoint(
        files, settings.chatterbox_dir, may_download=settings.chatterbox_download
    )
    device = choose_device(settings.chatterbox_device)
    precision = choose_precision(settings.chatterbox_precision, device)
    model = T3Model.load(folder / files.t3, files.t3_config, precision, device)
    return SpeechScheduler(
        model,
        SchedulerLimits(
            rows=settings.chatterbox_rows,
            rows_for_live=min(settings.chatterbox_live_rows, settings.chatterbox_rows - 2),
            cache_bytes=settings.chatterbox_cache_mib * MiB,
            prefix_bytes=settings.chatterbox_prefix_mib * MiB,
            waiting=settings.chatterbox_waiting,
            steps_per_readback=1 if device.type == "cpu" else _STEPS_PER_READBACK_ON_GPU,
        ),
    )
