"""Whether an engine can speak: the workers know, the gateway has none of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from mynah.contracts.workers import WorkerReport
from mynah.engines.registry import availability
from mynah.errors import BrokerUnavailable
from mynah.messaging.presence import Presence

log = structlog.get_logger(__name__)

NO_WORKER = "no worker serves it at the moment"


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """Whether an engine can speak, why not, how many workers serve it that can, and what those
    say that cannot."""

    available: bool
    reason: str | None
    workers: int
    faults: tuple[str, ...] = ()


def living_workers(presence: Presence) -> dict[str, WorkerReport]:
    """The workers by name; none when the broker does not answer."""
    try:
        return presence.reports()
    except BrokerUnavailable:
        log.warning("workers_unknown")
        return {}


def engine_status(engine_id: str, workers: Mapping[str, WorkerReport]) -> EngineStatus:
    """What the workers say of an engine; without any, what this machine has. Raises NotFound."""
    if not workers:
        found = availability(engine_id)
        return EngineStatus(found.available, found.reason, 0)
    said = [report.engines[engine_id] for report in workers.values() if engine_id in report.engines]
    able = sum(report.available for report in said)
    faults = tuple(report.reason or "" for report in said if not report.available)
    if able:
        return EngineStatus(True, None, able, faults)
    return EngineStatus(False, faults[0] if faults else NO_WORKER, 0, faults)
