"""Whether a speech worker lives and speaks: ``python -m services.worker_tts.health NAME``.

For a container's health check. NAME is the worker's Celery name, ``name@host``. It loads nothing:
the worker lets its engines speak a test and announces what came of it.
"""

from __future__ import annotations

import sys

from mynah.contracts.workers import WorkerReport
from mynah.errors import BrokerUnavailable
from mynah.messaging.presence import Presence
from mynah.settings import load_settings


def main() -> int:
    """Exit status 0 when the worker is well; else 1, and why on stderr."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m services.worker_tts.health NAME@HOST\n")
        return 2
    try:
        fault = find_fault(Presence(load_settings()).reports().get(sys.argv[1]))
    except BrokerUnavailable as error:
        fault = error.message
    if fault is not None:
        sys.stderr.write(f"{fault}\n")
    return 0 if fault is None else 1


def find_fault(report: WorkerReport | None) -> str | None:
    """What is wrong with a worker that announces this; None when nothing is.

    An engine that cannot be loaded is no fault while another can speak: starting the worker
    again would not help. One that is loaded and does not speak is.
    """
    if report is None:
        return "The worker does not announce itself."
    engines = report.engines.items()
    mute = [f"{name}: {each.reason}" for name, each in engines if not each.available]
    loaded = any(each.loaded and not each.available for _, each in engines)
    if mute and (loaded or len(mute) == len(report.engines)):
        return "\n".join(mute)
    return None


if __name__ == "__main__":
    sys.exit(main())
