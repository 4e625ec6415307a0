"""What the machine can do at most, so that a figure can be read as a share of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from bench.report import print_machine, print_row

_READ_BYTES = 1536 * 1024**2


def processor() -> str:
    """Its name and the instructions that matter here."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    flags = [f for f in ("avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16") if f" {f}" in text]
    return f"{names[0] if names else 'unknown processor'} ({', '.join(flags) or 'no VNNI'})"


def read_bandwidth(device: Any = "cpu", size: int = _READ_BYTES) -> float:
    """GB/s at which the device, all threads of it together, reads memory; the best of five."""
    numbers = torch.zeros(size // 4, device=device)
    best = 0.0
    for _ in range(5):
        wait_for(numbers.device)
        began = time.perf_counter()
        numbers.sum()
        wait_for(numbers.device)
        best = max(best, size / (time.perf_counter() - began) / 1e9)
    return best


def wait_for(device: Any) -> None:
    """Until a device has done what it was told; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def describe(threads: int) -> float:
    """Set the threads, print the machine; returns its read bandwidth in GB/s."""
    torch.set_num_threads(threads)
    print_machine()
    bandwidth = read_bandwidth()
    print_row("processor", processor())
    print_row("torch, threads", f"{torch.__version__}, {threads}")
    print_row("memory is read at", f"{bandwidth:.1f} GB/s")
    return bandwidth
