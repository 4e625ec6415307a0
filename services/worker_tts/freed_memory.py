"""Giving back what an unloaded engine leaves behind."""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress


def return_freed_memory() -> None:
    """Give memory that nobody holds any more back to the system and the device.

    Networks hold themselves in circles; torch keeps what it had on a device, and the C library the
    blocks that weights lay in: gigabytes, which another engine or process may want now.
    """
    gc.collect()
    torch = sys.modules.get("torch")  # where no engine has loaded it, there is nothing of it
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    with suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL("libc.so.6").malloc_trim(0)
