"""Jobs. Their state is moved by ``mynah.jobs`` only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mynah.contracts.states import ENDED_JOB_STATES, OPEN_JOB_STATES
from mynah.db.models import Job
from mynah.db.repositories.paging import Page, fetch_page


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

    def page(
        self,
        user_id: UUID,
        *,
        kind: str,
        state: str | None,
        cursor: UUID | None,
        limit: int,
    ) -> Page[Job]:
        """A page of a user's jobs of one kind."""
        query = select(Job).where(Job.user_id == user_id, Job.kind == kind)
        if state is not None:
            query = query.where(Job.state == state)
        return fetch_page(self._session, query, Job.id, cursor, limit)

    def open_of_voice(self, voice_id: UUID) -> Sequence[Job]:
        """The open jobs that need a voice."""
        return self._session.scalars(
            select(Job).where(Job.voice_id == voice_id, Job.state.in_(OPEN_JOB_STATES))
        ).all()

    def open_of_sample(self, sample_id: UUID) -> Sequence[Job]:
        """The open jobs that need a sample."""
        return self._session.scalars(
            select(Job).where(Job.sample_id == sample_id, Job.state.in_(OPEN_JOB_STATES))
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
        """Forget old jobs that have neither output nor work files."""
        old = self._session.scalars(
            select(Job)
            .where(Job.ended_at < moment, Job.output_key.is_(None), Job.has_work_files.is_(False))
            .limit(limit)
        ).all()
        for job in old:
            self._session.delete(job)
        return len(old)
