"""Gunicorn's settings that are the same everywhere."""

from __future__ import annotations

import gc
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from mynah.observability.logging import configure_logging
from mynah.observability.metrics import forget_process
from mynah.settings import load_settings


class GatewayLogger(Logger):  # type: ignore[misc]
    """Gunicorn's own messages in the form of all others; requests are logged by the app."""

    def setup(self, cfg: Any) -> None:
        """Hand what gunicorn says to the root logger."""
        super().setup(cfg)
        settings = load_settings()
        configure_logging("api", settings.log_level, settings.log_format)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


#: For what is answered at once; listeners, who stay for minutes, never take these.
REQUEST_THREADS = 16
SWITCH_INTERVAL_S = 0.0005

worker_class = "gthread"
logger_class = GatewayLogger
workers = 2
# A listener takes one, and so do a broken socket that waits for its client and a stranger's.
threads = REQUEST_THREADS + 2 * load_settings().max_streams + load_settings().max_strangers
graceful_timeout = 5
keepalive = 15
# Heartbeat files on a disk can block a worker; in memory they cannot.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
control_socket_disable = True


def post_fork(server: Any, worker: Any) -> None:  # noqa: ARG001
    """Have threads take turns sooner than Python's 5 ms.

    Whoever encodes for a listener lets go of the interpreter again and again while numpy and
    LAME work, and would wait so long to get it back each time that a request is being answered.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)


def post_worker_init(worker: Any) -> None:
    """Load beside the first requests what the first listener would else wait a second for."""
    run = partial(_get_ready_for_listeners, worker.wsgi)
    threading.Thread(target=run, name="get-ready", daemon=True).start()


def _get_ready_for_listeners(app: Any) -> None:
    """Warm up, then look for garbage only in what is made from now on.

    All that is loaded stays for ever, and a full collection stops every thread, for 80 ms with
    all of it.
    """
    from services.api.bootstrap import EXTENSION  # noqa: PLC0415 - gunicorn itself needs none of it
    from services.api.warming import warm_up  # noqa: PLC0415

    warm_up(app.extensions[EXTENSION])
    gc.freeze()


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001
    """Forget the metrics of a worker that ended."""
    forget_process(worker.pid)


def on_exit(server: Any) -> None:
    """Forget those too that were killed because listeners stayed until the end."""
    for pid in server.WORKERS:
        forget_process(pid)
