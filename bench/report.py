"""What every benchmark prints: the machine, and tables of figures against targets."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence

import numpy as np


def print_machine() -> None:
    """One line that says what these figures were measured on."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    python = platform.python_version()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {python}, load {load}")


def print_title(title: str) -> None:
    """A heading."""
    print(f"\n== {title}")


def print_row(label: str, value: str, target: str = "") -> None:
    """A figure and what it should be."""
    print(f"  {label:<58}{value:>16}   {target}")


def percentiles_ms(seconds: Sequence[float]) -> str:
    """p50 / p95 in milliseconds."""
    p50, p95 = np.percentile(np.array(seconds) * 1000, [50, 95])
    return f"{p50:.1f} / {p95:.1f} ms"
