"""Whose flow steps are taken when: one thread takes those of all requests together.

Encoder and vocoder run in the requests' own threads; the flow, which is nearly all of the work,
is batched here. Between two steps requests join and leave; live ones go first, and batch work
that has to stand aside keeps the steps that it has done.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from mynah.engines.chatterbox.s3gen.flow import FlowSolver, FlowState, group_by_length
from mynah.errors import EngineFailed, EngineUnavailable

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FlowLimits:
    """``frames``: mel frames of all requests in one step, which bounds the memory of a step (a
    single longer request still runs, alone); ``requests``: at a time, waiting ones included."""

    frames: int = 32_768
    requests: int = 256


@dataclass(slots=True, eq=False)
class _Job:
    state: FlowState
    is_live: bool
    future: Future[None] = field(default_factory=Future)


class FlowScheduler:
    """Solves the states of many threads with one solver. ``close`` ends its thread."""

    def __init__(self, solver: FlowSolver, limits: FlowLimits | None = None) -> None:
        self._solver = solver
        self._limits = limits or FlowLimits()
        self._jobs: list[_Job] = []  # in order of arrival
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="chatterbox-flow", daemon=True)
        self._thread.start()

    def submit(self, state: FlowState, *, is_live: bool) -> Future[None]:
        """Bring ``state`` to its end; the future is done when it is there.

        Cancelling the future takes the request out before the next step. Raises
        EngineUnavailable (``engine_busy`` when too many wait, also after ``close``).
        """
        job = _Job(state, is_live)
        with self._changed:
            if self._is_closed:
                raise EngineUnavailable("The speech engine is closed.")
            if len(self._jobs) >= self._limits.requests:
                raise EngineUnavailable(
                    "The speech engine is busy.", code="engine_busy", retry_after_s=1
                )
            self._jobs.append(job)
            self._changed.notify()
        return job.future

    def close(self) -> None:
        """End the thread; what is not done fails with EngineUnavailable."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    # Everything below runs in the scheduler's thread.

    def _run(self) -> None:
        while chosen := self._choose():
            groups = group_by_length([job.state for job in chosen])
            by_state = {id(job.state): job for job in chosen}
            for group in groups:
                self._advance([by_state[id(state)] for state in group])
        with self._changed:
            for job in self._jobs:
                self._end(job, EngineUnavailable("The speech engine is closed."))
            self._jobs.clear()

    def _choose(self) -> list[_Job]:
        """The requests of the next step, live ones first; empty when closed."""
        with self._changed:
            while True:
                self._jobs = [job for job in self._jobs if not job.future.done()]
                if self._jobs or self._is_closed:
                    break
                self._changed.wait()
            if self._is_closed:
                return []
            chosen: list[_Job] = []
            free = self._limits.frames
            for job in sorted(self._jobs, key=lambda job: not job.is_live):
                if job.state.frames > free and chosen:
                    break  # whoever is next in line waits for room, and is not overtaken
                chosen.append(job)
                free -= job.state.frames
            return chosen

    def _advance(self, jobs: Sequence[_Job]) -> None:
        """One step for a group; where that fails, one for each, so that only the cause fails."""
        try:
            self._solver.advance([job.state for job in jobs])
        except Exception as error:
            if len(jobs) == 1:
                _log.exception("a flow step failed")
                failure = EngineFailed("The speech engine could not speak this.")
                failure.__cause__ = error
                self._end(jobs[0], failure)
                return
            for job in jobs:
                self._advance([job])
            return
        for job in jobs:
            if self._solver.is_done(job.state):
                self._end(job, None)

    @staticmethod
    def _end(job: _Job, error: Exception | None) -> None:
        if not job.future.set_running_or_notify_cancel():
            return
        if error is None:
            job.future.set_result(None)
        else:
            job.future.set_exception(error)
