"""The sweeper: finds work that nobody does and sends it again.

Postgres is the truth, the broker only delivers. Lost messages, a flushed broker, a crash
between commit and send, a killed worker: each ends here within seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from mynah.contracts.states import StepState
from mynah.db.models import Step
from mynah.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from mynah.errors import BrokerUnavailable
from mynah.settings import Settings

log = structlog.get_logger(__name__)

BATCH = 500
# Behind a backlog an unclaimed message is late, not lost: repeat it rarely, then ever more so.
LONG_WAIT = timedelta(seconds=60)

QueueDepth = Callable[[str], int]
"""Messages waiting in a queue of the broker. Raises BrokerUnavailable."""


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What one sweep sent again, by reason."""

    lease_over: int = 0
    due: int = 0
    lost: int = 0

    @property
    def total(self) -> int:
        """All steps sent again."""
        return self.lease_over + self.due + self.lost


def sweep(new_uow: UnitOfWorkFactory, queue_depth: QueueDepth, settings: Settings) -> SweepReport:
    """Send again whatever is pending without a live claim. Only one sweeper works at a time."""
    with new_uow() as uow:
        if not uow.steps.try_sweep_lock():
            return SweepReport()
        over = uow.steps.lease_over(BATCH)
        for step in over:
            step.state = StepState.READY
            step.claim_token = None
            step.lease_until = None
        due = uow.steps.due(BATCH)
        lost = _lost(uow, queue_depth, settings)
        _send_again(uow, [*over, *due, *lost])
        uow.commit()
    report = SweepReport(len(over), len(due), len(lost))
    if report.total:
        log.info("swept", lease_over=len(over), due=len(due), lost=len(lost))
    return report


def _lost(uow: UnitOfWork, queue_depth: QueueDepth, settings: Settings) -> Sequence[Step]:
    """Ready steps whose message is gone: their queue is empty, yet nobody claimed them."""
    since = timedelta(seconds=settings.resend_after_s)
    lost: list[Step] = []
    for queue in uow.steps.ready_queues():
        try:
            is_empty = queue_depth(queue) == 0
        except BrokerUnavailable:
            return []
        if is_empty:
            lost.extend(uow.steps.unclaimed(queue, since, BATCH))
    known = {step.id for step in lost}
    late = uow.steps.long_unclaimed(LONG_WAIT, BATCH)
    return [*lost, *(step for step in late if step.id not in known)]


def _send_again(uow: UnitOfWork, steps: Sequence[Step]) -> None:
    jobs = {job_id: uow.jobs.by_id(job_id) for job_id in {step.job_id for step in steps}}
    for step in steps:
        uow.steps.mark_sent(step)
        uow.send_step(step, jobs[step.job_id])
