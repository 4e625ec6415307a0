"""Batches: the children of a batch's job, counted and listed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from mynah.contracts.states import ENDED_JOB_STATES
from mynah.db.models import Job


@dataclass(frozen=True, slots=True)
class BatchChild:
    """One accepted item of a batch, without its text."""

    position: int
    job_id: UUID
    state: str
    title: str | None
    characters: int
    progress: float
    output_key: str | None
    output_format: str
    output_size_bytes: int | None
    actual_duration_s: float | None
    error_code: str | None
    error_message: str | None


@dataclass(slots=True)
class ChildSums:
    """The children of one batch together; the work of those that ended counts as done."""

    by_state: dict[str, int] = field(default_factory=dict)
    work_done: float = 0.0
    work_total: float = 0.0
    started_at: datetime | None = None


class BatchRepository:
    """The items of batches. Whoever calls has found the batch by its owner."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def child_ended(self, parent_id: UUID) -> int | None:
        """Count one open child less; how many are left, None when the batch is gone."""
        return self._session.scalar(
            update(Job)
            .where(Job.id == parent_id)
            .values(open_children=Job.open_children - 1)
            .returning(Job.open_children)
            .execution_options(synchronize_session=False)
        )

    def children(
        self, parent_id: UUID, first: int = 0, limit: int | None = None
    ) -> list[BatchChild]:
        """The accepted items from position ``first`` on, ``limit`` positions of them."""
        query = select(
            Job.position,
            Job.id,
            Job.state,
            Job.request["title"].as_string(),
            Job.characters,
            Job.progress,
            Job.output_key,
            Job.output_format,
            Job.output_size_bytes,
            Job.actual_duration_s,
            Job.error_code,
            Job.error_message,
        ).where(Job.parent_id == parent_id, Job.position >= first)
        if limit is not None:
            query = query.where(Job.position < first + limit)
        rows = self._session.execute(query.order_by(Job.position))
        return [BatchChild(*row) for row in rows]

    def sums(self, parent_ids: Sequence[UUID]) -> dict[UUID, ChildSums]:
        """What the children of each batch add up to."""
        done = case((Job.state.in_(ENDED_JOB_STATES), Job.work_total), else_=Job.work_done)
        rows = self._session.execute(
            select(
                Job.parent_id,
                Job.state,
                func.count(),
                func.sum(done),
                func.sum(Job.work_total),
                func.min(Job.started_at),
            )
            .where(Job.parent_id.in_(parent_ids))
            .group_by(Job.parent_id, Job.state)
        )
        found: dict[UUID, ChildSums] = defaultdict(ChildSums)
        for parent_id, state, count, work_done, work_total, started_at in rows:
            sums = found[parent_id]
            sums.by_state[state] = count
            sums.work_done += work_done
            sums.work_total += work_total
            starts = [moment for moment in (sums.started_at, started_at) if moment is not None]
            sums.started_at = min(starts, default=None)
        return found
