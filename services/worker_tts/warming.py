"""A speech process gets ready: its first live piece must not pay for connections and plans."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import structlog

from mynah.db.ids import new_id
from mynah.db.unit_of_work import UnitOfWork
from mynah.db.warming import warm_connections
from mynah.errors import MynahError
from services.worker_tts.synthesis import Speaker

log = structlog.get_logger(__name__)

# Tasks of a process of its own run one at a time; beside them leases are renewed.
_CONNECTIONS = 2


def begin_to_warm_up(make_speaker: Callable[[], Speaker]) -> None:
    """Warm up beside the first tasks: the pool waits for no process that starts."""
    run = partial(_run, make_speaker)
    threading.Thread(target=run, name="warm-up", daemon=True).start()


def _run(make_speaker: Callable[[], Speaker]) -> None:
    started = time.monotonic()
    try:
        warm_up(make_speaker())
    except MynahError as error:  # what comes first takes its time then, and says what is wrong
        log.warning("not_warmed_up", error_code=error.code)
        return
    gc.freeze()  # it stays for ever: a full collection of it stops a process for 50 ms
    log.info("warmed_up", duration_s=round(time.monotonic() - started, 3))


def warm_up(speaker: Speaker) -> None:
    """Connect to the database and to Redis, and have the statements of a piece planned.

    Raises DatabaseUnavailable.
    """
    if speaker.live is not None:
        speaker.live.interest(new_id())
    warm_connections(speaker.worker.new_uow, _CONNECTIONS, _ask_for_nothing)


def _ask_for_nothing(uow: UnitOfWork) -> None:
    """What a piece asks, of a step that is not there."""
    nothing = new_id()
    uow.claims.claim(nothing, timedelta(seconds=1))
    uow.voices.visible(nothing, nothing)
    uow.jobs.locked(nothing)
    uow.steps.finish(nothing, nothing)
