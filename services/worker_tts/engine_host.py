"""The engines that this process has loaded: on demand, within the memory that they may take."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog

from mynah.engines.base import SpeechEngine
from mynah.engines.registry import load_engine, needed_memory
from mynah.errors import EngineUnavailable, MynahError
from mynah.observability.metrics import ENGINE_LOAD_SECONDS, ENGINE_LOADS, ENGINE_UNLOADS
from services.worker_tts.freed_memory import return_freed_memory

log = structlog.get_logger(__name__)

RETRY_AFTER_S: Final = 30.0  # what could not be loaded is not tried again sooner
WAIT_S: Final = 120.0  # for memory that others still use, and for a model that is being loaded


@dataclass(slots=True, eq=False)
class _Slot:
    """An engine, or one that is being loaded (``engine`` None).

    ``is_leaving``: another needs its memory; nobody new gets it, and the last to use it unloads
    it. ``spoke_at``: when it last spoke without fault, or was loaded.
    """

    need_bytes: int
    users: int = 0
    engine: SpeechEngine | None = None
    is_leaving: bool = False
    used_at: float = field(default_factory=time.monotonic)
    spoke_at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class _Problem:
    """Why an engine cannot be used, and since when (monotonic)."""

    error: MynahError
    at: float


@dataclass(frozen=True, slots=True)
class _Entry:
    """What came of an attempt: a slot, which may be new, and what had to go for it."""

    slot: _Slot | None
    is_new: bool = False
    victims: list[tuple[str, _Slot]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EngineState:
    """How an engine stands in this process: whether it is loaded, for how many seconds it has
    said nothing without fault, what is wrong with it, and the code of that."""

    is_loaded: bool = False
    silent_s: float = 0.0
    problem: str | None = None
    code: str | None = None


class EngineHost:
    """Loads each engine on first use and keeps it while it may. Any thread may use it.

    ``budget_bytes``: what all engines together may take, by their own account; 0: no limit. The
    least recently used go first, never one in use: whoever needs its memory waits until it is
    free, and meanwhile nobody new gets it.
    """

    def __init__(
        self,
        budget_bytes: int = 0,
        *,
        load: Callable[[str], SpeechEngine] = load_engine,
        measure: Callable[[str], int] = needed_memory,
        wait_s: float = WAIT_S,
    ) -> None:
        self._budget = budget_bytes
        self._load_engine = load
        self._measure = measure
        self._wait_s = wait_s
        self._slots: dict[str, _Slot] = {}
        self._problems: dict[str, _Problem] = {}
        self._changed = threading.Condition()
        self._is_closed = False

    @contextmanager
    def using(self, engine_id: str, *, is_test: bool = False) -> Iterator[SpeechEngine]:
        """The engine by id, loaded, for as long as the block runs, which speaks with it.

        ``is_test``: does not count as use, and so does not keep it from being unloaded. Raises
        EngineUnavailable, NotFound.
        """
        with self._holding(engine_id, is_test=is_test) as slot:
            if slot.engine is None:
                raise EngineUnavailable("The speech worker is ending.")
            yield slot.engine
            with self._changed:
                slot.spoke_at = time.monotonic()
                self._problems.pop(engine_id, None)

    def warm(self, engine_id: str) -> None:
        """Load an engine, unless that would unload another.

        Raises EngineUnavailable (``engine_busy`` where there is no memory left now), NotFound.
        """
        with self._changed:
            is_there = engine_id in self._slots
            used = sum(slot.need_bytes for slot in self._slots.values())
        if not is_there and self._budget and used + self._measured(engine_id) > self._budget:
            raise EngineUnavailable("There is no memory left for it.", code="engine_busy")
        with self._holding(engine_id, is_test=True):
            pass

    def loaded(self) -> dict[str, SpeechEngine]:
        """The engines that are loaded, by id."""
        with self._changed:
            return {
                engine_id: slot.engine
                for engine_id, slot in self._slots.items()
                if slot.engine is not None
            }

    def state(self, engine_id: str) -> EngineState:
        """How an engine stands."""
        with self._changed:
            slot, problem = self._slots.get(engine_id), self._problems.get(engine_id)
        return EngineState(
            is_loaded=slot is not None and slot.engine is not None,
            silent_s=0.0 if slot is None else time.monotonic() - slot.spoke_at,
            problem=None if problem is None else problem.error.message.rstrip("."),
            code=None if problem is None else problem.error.code,
        )

    def accuse(self, engine_id: str, error: MynahError, *, unload: bool) -> None:
        """Note what is wrong with an engine until it speaks; ``unload`` it once it is free."""
        with self._changed:
            self._problems[engine_id] = _Problem(error, time.monotonic())
            slot = self._slots.get(engine_id)
            victims = []
            if unload and slot is not None:
                slot.is_leaving = True
                victims = self._take_out_if_free(engine_id, slot)
        self._unload(victims, "faulty")

    def forgive(self, engine_id: str) -> None:
        """Forget what was wrong with an engine: the next request tries it."""
        with self._changed:
            self._problems.pop(engine_id, None)

    def unload_idle(self, idle_s: float, kept: frozenset[str] = frozenset()) -> None:
        """Unload what nobody has used for ``idle_s`` seconds, except ``kept``."""
        before = time.monotonic() - idle_s
        with self._changed:
            idle = [
                (engine_id, slot)
                for engine_id, slot in self._slots.items()
                if not slot.users and slot.used_at < before and engine_id not in kept
            ]
            victims = [each for pair in idle for each in self._take_out_if_free(*pair)]
        self._unload(victims, "idle")

    def close(self) -> None:
        """Unload every engine; those in use too, whose speech then fails."""
        with self._changed:
            self._is_closed = True
            victims = [(engine_id, slot) for engine_id, slot in self._slots.items() if slot.engine]
            self._slots.clear()
            self._changed.notify_all()
        self._unload(victims, "shutdown")

    @contextmanager
    def _holding(self, engine_id: str, *, is_test: bool) -> Iterator[_Slot]:
        slot, is_new = self._enter(engine_id, is_test=is_test)
        try:
            if is_new:
                self._load(engine_id, slot)
            yield slot
        finally:
            self._leave(engine_id, slot, is_test=is_test)

    def _enter(self, engine_id: str, *, is_test: bool) -> tuple[_Slot, bool]:
        """The engine's slot, counted as used, and whether it is empty, for this thread to load.

        What could not be loaded a moment ago is tried again by a test, not by a request.
        """
        deadline = time.monotonic() + self._wait_s
        while True:
            # Looks at files, so not under the lock.
            need = None if engine_id in self._slots else self._measured(engine_id)
            with self._changed:
                if not is_test:
                    self._raise_fresh_problem(engine_id)
                entry = self._try_to_enter(engine_id, need)
                if entry is None:
                    self._wait(deadline)
                    continue
            self._unload(entry.victims, "memory")
            if entry.slot is not None:
                return entry.slot, entry.is_new

    def _try_to_enter(self, engine_id: str, need: int | None) -> _Entry | None:
        """None: there is nothing to do but to wait."""
        if self._is_closed:
            raise EngineUnavailable("The speech worker is ending.")
        slot = self._slots.get(engine_id)
        if slot is not None:
            if slot.engine is None or slot.is_leaving:
                return None
            slot.users += 1
            return _Entry(slot)
        if need is None:  # it has just left
            return _Entry(None)
        victims, has_room = self._make_room(need)
        if has_room:
            self._slots[engine_id] = _Slot(need, users=1)
            return _Entry(self._slots[engine_id], is_new=True, victims=victims)
        return _Entry(None, victims=victims) if victims else None

    def _wait(self, deadline: float) -> None:
        if not self._changed.wait(deadline - time.monotonic()):
            raise EngineUnavailable(
                "The speech engine is busy: others are using the memory that it needs.",
                code="engine_busy",
                retry_after_s=1,
            )

    def _raise_fresh_problem(self, engine_id: str) -> None:
        problem = self._problems.get(engine_id)
        if engine_id in self._slots or problem is None:
            return
        if time.monotonic() - problem.at < RETRY_AFTER_S:
            raise EngineUnavailable(problem.error.message, code=problem.error.code)

    def _measured(self, engine_id: str) -> int:
        if not self._budget:
            return 0
        try:
            need = self._measure(engine_id)
            if need > self._budget:
                raise EngineUnavailable(
                    f"The engine {engine_id!r} needs {need >> 20} MiB; engines may take "
                    f"{self._budget >> 20} MiB here.",
                    code="engine_too_large",
                )
        except ImportError:  # loading it says what is missing
            return 0
        except EngineUnavailable as error:  # it is too large, or its files are damaged
            self.accuse(engine_id, error, unload=False)
            raise
        return need

    def _make_room(self, need: int) -> tuple[list[tuple[str, _Slot]], bool]:
        """What was taken out to make room, and whether that is enough.

        Idle ones go first, of either kind the least recently used; those in use go when they are
        free.
        """
        excess = sum(slot.need_bytes for slot in self._slots.values()) + need - self._budget
        victims: list[tuple[str, _Slot]] = []
        if not self._budget or excess <= 0:
            return victims, True
        in_turn = sorted(self._slots.items(), key=lambda item: (item[1].users > 0, item[1].used_at))
        for engine_id, slot in in_turn:
            if excess <= 0:
                break
            excess -= slot.need_bytes
            slot.is_leaving = True
            victims += self._take_out_if_free(engine_id, slot)
        left = sum(slot.need_bytes for slot in self._slots.values())
        return victims, left + need <= self._budget

    def _take_out_if_free(self, engine_id: str, slot: _Slot) -> list[tuple[str, _Slot]]:
        if slot.users or self._slots.get(engine_id) is not slot:
            return []
        del self._slots[engine_id]
        self._changed.notify_all()
        return [(engine_id, slot)]

    def _leave(self, engine_id: str, slot: _Slot, *, is_test: bool) -> None:
        with self._changed:
            slot.users -= 1
            if not is_test:
                slot.used_at = time.monotonic()
            must_go = slot.is_leaving or slot.engine is None
            victims = self._take_out_if_free(engine_id, slot) if must_go else []
            reason = "faulty" if engine_id in self._problems else "memory"
        self._unload(victims, reason)

    def _load(self, engine_id: str, slot: _Slot) -> None:
        started = time.monotonic()
        try:
            engine = self._load_engine(engine_id)
        except Exception as error:
            ENGINE_LOADS.labels(engine_id, "failed").inc()
            problem = _as_problem(engine_id, error)
            with self._changed:
                self._problems[engine_id] = _Problem(problem, time.monotonic())
            raise problem from error
        took_s = time.monotonic() - started
        ENGINE_LOADS.labels(engine_id, "loaded").inc()
        ENGINE_LOAD_SECONDS.labels(engine_id).observe(took_s)
        log.info("engine_loaded", engine=engine_id, seconds=round(took_s, 2))
        with self._changed:
            slot.engine = engine
            slot.spoke_at = time.monotonic()
            self._problems.pop(engine_id, None)
            self._changed.notify_all()
            is_late = self._is_closed
        if is_late:  # nobody else will close it
            self._unload([(engine_id, slot)], "shutdown")

    def _unload(self, victims: list[tuple[str, _Slot]], reason: str) -> None:
        for engine_id, slot in victims:
            if slot.engine is None:
                continue
            log.info("engine_unloaded", engine=engine_id, reason=reason)
            ENGINE_UNLOADS.labels(engine_id, reason).inc()
            engine, slot.engine = slot.engine, None
            try:
                engine.close()
            except Exception:  # it is given up in any case
                log.exception("engine_not_closed", engine=engine_id)
            del engine
        if victims:
            return_freed_memory()


def _as_problem(engine_id: str, error: Exception) -> MynahError:
    """A load's failure as it is told; what nobody foresaw goes to the log in full."""
    if isinstance(error, MynahError):
        return error
    log.error("engine_load_crashed", engine=engine_id, exc_info=error)
    return EngineUnavailable(
        f"The engine {engine_id!r} cannot be loaded: {type(error).__name__}: {error}".rstrip(".")
        + "."
    )
