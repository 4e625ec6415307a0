"""The engines of a speech worker: hosted, looked after, and reported to the others."""

from __future__ import annotations

import structlog

from mynah.contracts.states import Lane
from mynah.contracts.tasks import SYNTHESIZE
from mynah.contracts.workers import EngineReport, WorkerReport
from mynah.db.unit_of_work import UnitOfWorkFactory
from mynah.engines.catalog import load_engines
from mynah.engines.registry import availability, own_voices
from mynah.errors import DatabaseUnavailable
from mynah.jobs.public_voices import publish_voices
from mynah.settings import MiB, Settings
from services.worker_tts.engine_care import EngineCare
from services.worker_tts.engine_host import EngineHost

log = structlog.get_logger(__name__)


class ServedEngines:
    """What one process knows of its engines. Nothing is loaded and no thread runs before ``begin``.

    In a pool of processes each has its own, and the main one, which reports, has none loaded.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.host = EngineHost(settings.engine_memory_mib * MiB)
        self._care: EngineCare | None = None

    def begin(self, queues: frozenset[str], new_uow: UnitOfWorkFactory) -> None:
        """Begin to look after the engines whose queues are served here."""
        served = served_by(queues)
        _publish_own_voices(served, new_uow)
        self._care = EngineCare(self.host, self._settings, served)
        self._care.start()

    def end(self) -> None:
        """Stop looking after them, and close them."""
        if self._care is not None:
            self._care.stop()
        self.host.close()

    def report(self, queues: frozenset[str]) -> WorkerReport:
        """The engines whose queues are served here, and whether they can speak."""
        return WorkerReport(
            engines={engine_id: self._report(engine_id) for engine_id in served_by(queues)}
        )

    def _report(self, engine_id: str) -> EngineReport:
        state = self.host.state(engine_id)
        if state.is_loaded:
            reason = state.problem  # its files are read already
        else:
            reason = availability(engine_id).reason or state.problem
        if reason is None and self._care is not None and self._care.is_warming(engine_id):
            reason = "it is being loaded"
        return EngineReport(available=reason is None, reason=reason, loaded=state.is_loaded)


def served_by(queues: frozenset[str]) -> list[str]:
    """The engines that have a queue among these."""
    return [
        engine_id
        for engine_id in load_engines()
        if queues & {SYNTHESIZE.queue_for(engine_id, lane) for lane in Lane}
    ]


def _publish_own_voices(served: list[str], new_uow: UnitOfWorkFactory) -> None:
    """Show the voices that lie beside the weights here; they are good to have, not more."""
    able = [engine_id for engine_id in served if availability(engine_id).available]
    voices = [voice for engine_id in able for voice in own_voices(engine_id)]
    if not voices:
        return
    try:
        with new_uow() as uow:
            publish_voices(uow, voices)
            uow.commit()
    except DatabaseUnavailable:
        log.warning("own_voices_not_published", count=len(voices))
