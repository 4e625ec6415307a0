"""Jobs. Their state is moved by ``mynah.jobs`` only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, any_, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session, aliased

from mynah.contracts.states import ENDED_JOB_STATES, OPEN_JOB_STATES
from mynah.db.models import Job
from mynah.db.repositories.paging import Page, fetch_page


@dataclass(frozen=True, slots=True)
class JobFigures:
    """What changes while a job is worked on."""

    job_id: UUID
    state: str
    progress: float
    steps_done: int
    work_done: float
    work_total: float
    started_at: datetime | None
    estimated_duration_s: float | None
    actual_duration_s: float | None


class JobRepository:
    """Jobs, by owner."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, job: Job) -> None:
        """Add a job."""
        self._session.add(job)

    def get(self, user_id: UUID, job_id: UUID, kind: str | None = None) -> Job | None:
        """One job of a user."""
        query = select(Job).where(Job.id == job_id, Job.user_id == user_id)
        return self._session.scalar(query if kind is None else query.where(Job.kind == kind))

    def by_id(self, job_id: UUID) -> Job:
        """A job for a worker. Raises NoResultFound."""
        return self._session.scalars(select(Job).where(Job.id == job_id)).one()

    def locked(self, job_id: UUID) -> Job | None:
        """A job, locked until the end of the transaction, read anew."""
        return self._session.scalar(
            select(Job)
            .where(Job.id == job_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )

    def figures(self, job_ids: Sequence[UUID]) -> list[JobFigures]:
        """How far these jobs are, in one query; unknown ones are missing."""
        rows = self._session.execute(
            select(
                Job.id,
                Job.state,
                Job.progress,
                Job.steps_done,
                Job.work_done,
                Job.work_total,
                Job.started_at,
                Job.estimated_duration_s,
                Job.actual_duration_s,
            ).where(Job.id == any_(literal(job_ids, ARRAY(Uuid))))  # one text for any number
        )
        return [JobFigures(*row) for row in rows]

    def page(
        self,
        user_id: UUID,
        *,
        kind: str,
        state: str | None,
        cursor: UUID | None,
        limit: int,
        parent_id: UUID | None = None,
    ) -> Page[Job]:
        """A page of a user's jobs of one kind: the items of a batch, or those of none."""
        query = select(Job).where(Job.user_id == user_id, Job.kind == kind)
        query = query.where(Job.parent_id == parent_id)
        if state is not None:
            query = query.where(Job.state == state)
        return fetch_page(self._session, query, Job.id, cursor, limit)

    def open_of_voice(self, voice_id: UUID) -> Sequence[Job]:
        """The open jobs that need a voice, locked."""
        return self._locked_open(Job.voice_id == voice_id)

    def open_of_sample(self, sample_id: UUID) -> Sequence[Job]:
        """The open jobs that need a sample, locked."""
        return self._locked_open(Job.sample_id == sample_id)

    def locked_open_children(self, parent_id: UUID, limit: int) -> Sequence[Job]:
        """Open items of a batch, locked."""
        return self._locked_open(Job.parent_id == parent_id, limit)

    def _locked_open(
        self, condition: ColumnElement[bool], limit: int | None = None
    ) -> Sequence[Job]:
        """Open jobs, all locked in order before any of them is touched.

        Who ended them one by one would hold rows that a worker needs to finish the next one.
        """
        return self._session.scalars(
            select(Job)
            .where(condition, Job.state.in_(OPEN_JOB_STATES))
            .order_by(Job.id)
            .limit(limit)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).all()

    def counts(self) -> list[tuple[str, str, int]]:
        """(kind, state, count) over all jobs."""
        rows = self._session.execute(
            select(Job.kind, Job.state, func.count()).group_by(Job.kind, Job.state)
        )
        return [(kind, state, count) for kind, state, count in rows]

    def outputs_expired(self, now: datetime, limit: int) -> Sequence[Job]:
        """Ended jobs whose output has outlived its retention."""
        return self._session.scalars(
            select(Job)
            .where(Job.expires_at < now, Job.output_key.is_not(None))
            .order_by(Job.expires_at)
            .limit(limit)
        ).all()

    def with_work_files(self, ended_before: datetime, limit: int) -> Sequence[Job]:
        """Ended jobs whose work files are still there."""
        return self._session.scalars(
            select(Job)
            .where(Job.has_work_files, Job.ended_at < ended_before, Job.state.in_(ENDED_JOB_STATES))
            .order_by(Job.ended_at)
            .limit(limit)
        ).all()

    def delete_ended_before(self, moment: datetime, limit: int) -> int:
        """Forget old jobs that have neither output nor work files; a batch with its items."""
        child = aliased(Job)
        has_files = select(child.id).where(
            child.parent_id == Job.id, child.output_key.is_not(None) | child.has_work_files
        )
        old = self._session.scalars(
            select(Job)
            .where(
                Job.ended_at < moment,
                Job.output_key.is_(None),
                Job.has_work_files.is_(False),
                Job.parent_id.is_(None),
                ~has_files.exists(),
            )
            .limit(limit)
        ).all()
        for job in old:
            self._session.delete(job)
        return len(old)
