"""What a speech worker says of its engines."""

from __future__ import annotations

from mynah.contracts.states import Lane
from mynah.contracts.tasks import SYNTHESIZE
from mynah.contracts.workers import EngineReport, WorkerReport
from mynah.engines.catalog import load_engines
from mynah.engines.registry import availability


def report_engines(queues: frozenset[str]) -> WorkerReport:
    """The engines whose queues are served here, and whether what they require is installed."""
    served = [
        engine_id
        for engine_id in load_engines()
        if queues & {SYNTHESIZE.queue_for(engine_id, lane) for lane in Lane}
    ]
    found = {engine_id: availability(engine_id) for engine_id in served}
    return WorkerReport(
        engines={
            engine_id: EngineReport(available=each.available, reason=each.reason)
            for engine_id, each in found.items()
        }
    )
