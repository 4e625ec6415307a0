"""The queues of this worker's engines: given back while an engine cannot speak here."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Final

import structlog

from mynah.contracts.states import Lane
from mynah.contracts.tasks import SYNTHESIZE
from mynah.errors import MynahError
from mynah.messaging.intake import QueueIntake
from mynah.observability.metrics import ENGINES_GIVEN_BACK

log = structlog.get_logger(__name__)

FIRST_LOOK_S: Final = 5.0  # then another look, doubled each time: somebody may mend it
MAX_LOOK_S: Final = 300.0
MAX_DOUBLINGS: Final = 10  # beyond 1023 the pause would not fit a float: four days of looks


@dataclass(slots=True)
class _GivenBack:
    """Since when, how often it was looked at meanwhile, and when the next look is due.

    ``is_tried``: its work is taken for now, since only a request can tell whether it speaks.
    """

    since: float
    looks: int
    look_at: float
    is_tried: bool = False


class EngineQueues:
    """Which engines this worker takes work for. Any thread may use it."""

    def __init__(self, intake: QueueIntake) -> None:
        self._intake = intake
        self._given_back: dict[str, _GivenBack] = {}
        self._lock = threading.Lock()

    def give_back(self, engine_id: str, fault: MynahError) -> bool:
        """Take no more work for an engine that cannot speak; again changes nothing.

        False: this process cannot decide that (``QueueIntake.give_back``).
        """
        with self._lock:
            if not self._intake.give_back(queues_of(engine_id)):
                return False
            now = time.monotonic()
            found = self._given_back.get(engine_id)
            if found is None:
                self._given_back[engine_id] = _GivenBack(now, 0, now + FIRST_LOOK_S)
            elif found.is_tried:
                found.is_tried, found.look_at = False, now + _pause_s(found.looks)
            else:
                return True
        ENGINES_GIVEN_BACK.labels(engine_id).set(1)
        log.warning("queues_given_back", engine=engine_id, code=fault.code, reason=fault.message)
        return True

    def take_again(self, engine_id: str) -> None:
        """Take work for an engine that speaks again; one whose work is taken stays so."""
        with self._lock:
            if self._given_back.pop(engine_id, None) is None:
                return
            self._intake.take_again(queues_of(engine_id))
        ENGINES_GIVEN_BACK.labels(engine_id).set(0)
        log.info("queues_taken_again", engine=engine_id)

    def try_again(self, engine_id: str) -> None:
        """Take work for an engine of which only a request can tell whether it speaks.

        Given back again before it spoke, it counts as given back all the while: else its jobs
        would wait for ever, and each try might unload an engine that speaks.
        """
        with self._lock:
            found = self._given_back.get(engine_id)
            if found is None or found.is_tried:
                return
            found.is_tried = True
            self._intake.take_again(queues_of(engine_id))
        ENGINES_GIVEN_BACK.labels(engine_id).set(0)
        log.info("queues_tried_again", engine=engine_id)

    def note_speech(self, engine_id: str) -> None:
        """An engine has spoken for a request: if it was tried, its fault is over."""
        with self._lock:
            found = self._given_back.get(engine_id)
            if found is not None and found.is_tried:
                del self._given_back[engine_id]

    def settle(self) -> None:
        """Once more what a broken connection may have swallowed."""
        self._intake.settle()

    def given_back_s(self, engine_id: str) -> float | None:
        """For how long no work has been taken for an engine; None: it is taken."""
        with self._lock:
            found = self._given_back.get(engine_id)
        return None if found is None or found.is_tried else time.monotonic() - found.since

    def begin_look(self, engine_id: str) -> None:
        """The engine is looked at now; the next look waits longer."""
        with self._lock:
            if found := self._given_back.get(engine_id):
                found.looks += 1
                found.look_at = time.monotonic() + _pause_s(found.looks)

    def due(self) -> list[str]:
        """The engines that are to be looked at again."""
        now = time.monotonic()
        with self._lock:
            return [
                name
                for name, each in self._given_back.items()
                if now >= each.look_at and not each.is_tried
            ]


def _pause_s(looks: int) -> float:
    return min(FIRST_LOOK_S * 2.0 ** min(looks, MAX_DOUBLINGS), MAX_LOOK_S)


def queues_of(engine_id: str) -> list[str]:
    """An engine's queues, of both lanes."""
    return [SYNTHESIZE.queue_for(engine_id, lane) for lane in Lane]
