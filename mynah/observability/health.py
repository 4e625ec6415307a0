"""Readiness: whether the parts that a service needs answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout

from mynah.errors import MynahError

CHECK_TIMEOUT_S = 4.0

_pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="health")


def check_parts(checks: Mapping[str, Callable[[], None]]) -> dict[str, str]:
    """Run all checks at once, each with a time limit; "ok" or the error's code per part."""
    running = {name: _pool.submit(check) for name, check in checks.items()}
    found: dict[str, str] = {}
    for name, future in running.items():
        try:
            future.result(timeout=CHECK_TIMEOUT_S)
            found[name] = "ok"
        except MynahError as error:
            found[name] = error.code
        except FutureTimeout:
            found[name] = "timeout"
    return found
