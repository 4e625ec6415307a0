"""The engines of a speech worker: hosted, looked after, and reported to the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from mynah.contracts.workers import EngineReport, WorkerReport
from mynah.db.unit_of_work import UnitOfWorkFactory
from mynah.engines.base import SpeechEngine
from mynah.engines.catalog import load_engines
from mynah.engines.registry import availability, own_voices
from mynah.errors import DatabaseUnavailable, EngineUnavailable
from mynah.jobs.claims import HandedBack
from mynah.jobs.public_voices import publish_voices
from mynah.messaging.intake import QueueIntake
from mynah.settings import MiB, Settings
from services.worker_tts.engine_care import EngineCare
from services.worker_tts.engine_host import EngineHost
from services.worker_tts.engine_queues import EngineQueues, queues_of

log = structlog.get_logger(__name__)


class ServedEngines:
    """What one process knows of its engines. Nothing is loaded and no thread runs before ``begin``.

    In a pool of processes each has its own, and the main one, which reports, has none loaded.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._host = EngineHost(settings.engine_memory_mib * MiB)
        self._care: EngineCare | None = None
        self._intake: QueueIntake | None = None
        self._queues: EngineQueues | None = None

    def begin(self, intake: QueueIntake, new_uow: UnitOfWorkFactory) -> None:
        """Begin to look after the engines whose queues are served here."""
        served = served_by(frozenset(intake.given))
        self._intake = intake
        self._queues = queues = EngineQueues(intake)
        faults = {engine_id: availability(engine_id).reason for engine_id in served}
        for engine_id, reason in faults.items():
            if reason is not None:  # it need not cost anybody's piece to find that out
                fault = EngineUnavailable(f"The engine {engine_id!r} is not available: {reason}.")
                self._host.accuse(engine_id, fault, unload=False)
                queues.give_back(engine_id, fault)
        _publish_own_voices([name for name, reason in faults.items() if reason is None], new_uow)
        self._care = EngineCare(self._host, queues, self._settings, served)
        self._care.start()

    @contextmanager
    def using(self, engine_id: str) -> Iterator[SpeechEngine]:
        """The engine by id, loaded, while the block runs (``EngineHost.using``).

        Raises HandedBack where it cannot speak here: its work is left to other workers from then
        on. EngineUnavailable, NotFound.
        """
        try:
            with self._host.using(engine_id) as engine:
                yield engine
            if self._queues is not None:
                self._queues.note_speech(engine_id)
        except EngineUnavailable as error:
            if error.code != "engine_busy" and self._gives_back(engine_id, error):
                raise HandedBack(error.message) from error
            raise

    def taken_queues(self) -> tuple[str, ...]:
        """The queues from which this worker takes work now."""
        return () if self._intake is None else self._intake.taken

    def end(self) -> None:
        """Stop looking after them, and close them."""
        if self._care is not None:
            self._care.stop()
        self._host.close()

    def report(self, queues: frozenset[str]) -> WorkerReport:
        """The engines whose queues are served here, and whether they can speak."""
        return WorkerReport(
            engines={engine_id: self._report(engine_id, queues) for engine_id in served_by(queues)}
        )

    def _gives_back(self, engine_id: str, fault: EngineUnavailable) -> bool:
        is_faulty = self._host.state(engine_id).problem is not None
        return is_faulty and self._queues is not None and self._queues.give_back(engine_id, fault)

    def _report(self, engine_id: str, queues: frozenset[str]) -> EngineReport:
        state = self._host.state(engine_id)
        if state.is_loaded:
            reason = state.problem  # its files are read already
        else:
            reason = availability(engine_id).reason or state.problem
        if reason is None and self._care is not None and self._care.is_warming(engine_id):
            reason = "it is being loaded"
        given_back_s = self._queues and self._queues.given_back_s(engine_id)
        if reason is None and given_back_s is not None:
            reason = "it is being tried again"
        return EngineReport(
            available=reason is None,
            reason=reason,
            code=state.code,
            loaded=state.is_loaded,
            queues=tuple(sorted(queues & set(queues_of(engine_id)))),
            given_back_s=given_back_s,
        )


def served_by(queues: frozenset[str]) -> list[str]:
    """The engines that have a queue among these."""
    return [engine_id for engine_id in load_engines() if queues & set(queues_of(engine_id))]


def _publish_own_voices(able: list[str], new_uow: UnitOfWorkFactory) -> None:
    """Show the voices that lie beside the weights here; they are good to have, not more."""
    voices = [voice for engine_id in able for voice in own_voices(engine_id)]
    if not voices:
        return
    try:
        with new_uow() as uow:
            publish_voices(uow, voices)
            uow.commit()
    except DatabaseUnavailable:
        log.warning("own_voices_not_published", count=len(voices))
