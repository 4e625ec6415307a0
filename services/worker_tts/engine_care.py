"""Looking after a process's engines: warming up, tests, idle unloading, figures."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from mynah.engines.base import EngineLoad, MeasuredEngine, Profile
from mynah.errors import EngineFailed, EngineUnavailable, MynahError
from mynah.observability import metrics
from mynah.settings import Settings
from services.worker_tts.engine_host import RETRY_AFTER_S, EngineHost
from services.worker_tts.engine_queues import EngineQueues
from services.worker_tts.engine_test import make_test_profile, speak_test

log = structlog.get_logger(__name__)

TICK_S: Final = 1.0


@dataclass(slots=True, eq=False)
class _Test:
    """A test that runs in a thread of its own; it may hang. ``deadline``: once it speaks."""

    engine_id: str
    thread: threading.Thread | None = None
    deadline: float = math.inf

    @property
    def is_over(self) -> bool:
        return self.thread is None or not self.thread.is_alive()


class EngineCare:
    """A thread that looks after the engines of a host until it is stopped.

    ``served``: the engines of this worker, in order. Those of them that the settings name are
    loaded and tested at the start. One that failed gives its ``queues`` back, and is tried again
    some time after; it takes work again when it speaks.
    """

    def __init__(
        self, host: EngineHost, queues: EngineQueues, settings: Settings, served: Sequence[str]
    ) -> None:
        self._host = host
        self._queues = queues
        self._settings = settings
        wanted = {name.strip() for name in settings.warm_engines.split(",")}
        self._warm = tuple(engine_id for engine_id in served if engine_id in wanted)
        self._untried = set(self._warm)
        self._tried_at: dict[str, float] = {}
        self._profiles: dict[str, Profile] = {}
        self._counted: dict[str, EngineLoad] = {}
        self._test: _Test | None = None
        self._hanging: dict[str, _Test] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine-care", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a test that runs is left to itself."""
        self._stopped.set()
        self._thread.join(2 * TICK_S)

    def is_warming(self, engine_id: str) -> bool:
        """Whether the engine is still to be loaded and tested for the first time."""
        return engine_id in self._untried

    def _run(self) -> None:
        while True:
            try:
                self.look_after()
            except Exception:  # one bad look must not end all care
                log.exception("engine_care_failed")
            if self._stopped.wait(TICK_S):
                return

    def look_after(self) -> None:
        """One round: figures, idle engines, the running test, and the next that is due."""
        self._count()
        self._queues.settle()
        if self._settings.engine_idle_unload_s:
            self._host.unload_idle(self._settings.engine_idle_unload_s, frozenset(self._warm))
        self._watch_test()
        due = self._next_due()
        if self._test is None and due is not None:
            self._begin_test(due)

    def _next_due(self) -> str | None:
        now, interval_s = time.monotonic(), self._settings.engine_test_interval_s
        again = self._queues.due()
        for engine_id in (*again, *self._warm, *self._host.loaded()):
            if engine_id in self._hanging:
                continue
            state = self._host.state(engine_id)
            if self._queues.given_back_s(engine_id) is not None:
                is_due = engine_id in again or state.problem is None
            elif not state.is_loaded:
                is_due = now - self._tried_at.get(engine_id, -math.inf) > RETRY_AFTER_S
            else:
                is_due = engine_id in self._untried or 0 < interval_s < state.silent_s
            if is_due:
                return engine_id
        return None

    def _begin_test(self, engine_id: str) -> None:
        self._tried_at[engine_id] = time.monotonic()
        self._queues.begin_look(engine_id)
        self._test = test = _Test(engine_id)
        test.thread = threading.Thread(
            target=self._try_out, args=(test,), name="engine-test", daemon=True
        )
        test.thread.start()

    def _watch_test(self) -> None:
        self._hanging = {
            engine_id: test for engine_id, test in self._hanging.items() if not test.is_over
        }
        test = self._test
        if test is None:
            return
        if test.is_over:
            self._test = None
        elif time.monotonic() > test.deadline:
            metrics.ENGINE_TESTS.labels(test.engine_id, "late").inc()
            message = (
                f"Its test sentence took more than {self._settings.engine_test_timeout_s:g} s."
            )
            late = EngineUnavailable(message, code="engine_silent")
            # Not unloaded: closing what hangs would hang too.
            self._host.accuse(test.engine_id, late, unload=False)
            self._queues.give_back(test.engine_id, late)
            self._hanging[test.engine_id] = test
            self._test = None
            self._untried.discard(test.engine_id)

    def _try_out(self, test: _Test) -> None:
        """Load the engine where it is not, and let it speak."""
        engine_id = test.engine_id
        try:
            if not self._host.state(engine_id).is_loaded:
                self._host.warm(engine_id)
            self._let_speak(test)
        except Exception as error:
            fault = _as_fault(error)
            if fault.code == "engine_busy":  # it has no time or no memory now: no fault of its own
                log.info("engine_not_tested", engine=engine_id, reason=fault.message)
                self._let_requests_try(engine_id)
                return
            metrics.ENGINE_TESTS.labels(engine_id, "failed").inc()
            self._host.accuse(engine_id, fault, unload=True)
            self._queues.give_back(engine_id, fault)
            log.warning("engine_test_failed", engine=engine_id, exc_info=True)
        else:
            metrics.ENGINE_TESTS.labels(engine_id, "passed").inc()
            self._queues.take_again(engine_id)
        finally:
            self._untried.discard(engine_id)

    def _let_requests_try(self, engine_id: str) -> None:
        """Where a faulty engine cannot be tested without unloading another: who needs it will."""
        if self._queues.given_back_s(engine_id) is not None:
            self._host.forgive(engine_id)
            self._queues.try_again(engine_id)

    def _let_speak(self, test: _Test) -> None:
        engine_id = test.engine_id
        with self._host.using(engine_id, is_test=True) as engine:
            test.deadline = time.monotonic() + self._settings.engine_test_timeout_s
            try:
                if engine_id not in self._profiles:
                    self._profiles[engine_id] = make_test_profile(engine)
                speak_test(engine, self._profiles[engine_id])
            finally:
                test.deadline = math.inf

    def _count(self) -> None:
        """Add what the engines have done since the last look to the metrics."""
        loaded = self._host.loaded()
        for engine_id in self._counted.keys() - loaded.keys():
            gone = self._counted.pop(engine_id)
            for gauge in _GAUGES:
                gauge.labels(engine_id).set(0)
            metrics.DEVICE_BYTES.labels(gone.device).set(0)
        for engine_id, engine in loaded.items():
            if isinstance(engine, MeasuredEngine):
                now = engine.measure()
                before = self._counted.get(engine_id)
                if before is not None and before.steps > now.steps:  # it was loaded anew
                    before = None
                _add(engine_id, now, before)
                self._counted[engine_id] = now


_GAUGES: Final = (
    metrics.ENGINE_TOKEN_RATE,
    metrics.ENGINE_BATCH,
    metrics.ENGINE_WAITING,
    metrics.ENGINE_RUNNING,
)


def _add(engine_id: str, now: EngineLoad, before: EngineLoad | None) -> None:
    for counter, value, earlier in (
        (metrics.ENGINE_REQUESTS, now.requests, before and before.requests),
        (metrics.ENGINE_QUEUE_SECONDS, now.queue_wait_s, before and before.queue_wait_s),
        (metrics.ENGINE_TOKENS, now.tokens, before and before.tokens),
        (metrics.ENGINE_STEPS, now.steps, before and before.steps),
    ):
        counter.labels(engine_id).inc(value - (earlier or 0))
    figures = (now.tokens_per_second, now.batch_size, now.waiting, now.running)
    for gauge, figure in zip(_GAUGES, figures, strict=True):
        gauge.labels(engine_id).set(figure)
    metrics.DEVICE_BYTES.labels(now.device).set(now.device_bytes)


def _as_fault(error: Exception) -> MynahError:
    if isinstance(error, EngineUnavailable):
        return error
    message = error.message if isinstance(error, MynahError) else type(error).__name__
    return EngineFailed(f"Its test sentence failed: {message}")
