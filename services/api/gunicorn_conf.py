"""Gunicorn's settings that are the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mynah.observability.metrics import forget_process

worker_class = "gthread"
workers = 2
threads = 8
graceful_timeout = 5
keepalive = 15
# Heartbeat files on a disk can block a worker; in memory they cannot.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001
    """Forget the metrics of a worker that ended."""
    forget_process(worker.pid)
