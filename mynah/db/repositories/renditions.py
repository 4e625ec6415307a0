"""Renditions: finished speech jobs in other formats, each with the job that makes it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from mynah.contracts.states import JobState
from mynah.db.models import Job, Rendition

Made = tuple[Rendition, Job]


class RenditionRepository:
    """Renditions, by the speech job that they are of."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, rendition: Rendition) -> None:
        """Add a rendition; there is one for each layout of a speech job."""
        self._session.add(rendition)

    def of_job(self, speech_job_id: UUID) -> Sequence[Made]:
        """All renditions of a speech job with their jobs, oldest first."""
        rows = self._session.execute(
            select(Rendition, Job)
            .join(Job, Job.id == Rendition.job_id)
            .where(Rendition.speech_job_id == speech_job_id)
            .order_by(Rendition.id)
        )
        return [(rendition, job) for rendition, job in rows]

    def get(self, speech_job_id: UUID, rendition_id: UUID) -> Made | None:
        """One rendition of a speech job."""
        row = self._session.execute(
            select(Rendition, Job)
            .join(Job, Job.id == Rendition.job_id)
            .where(Rendition.speech_job_id == speech_job_id, Rendition.id == rendition_id)
        ).one_or_none()
        return None if row is None else (row[0], row[1])

    def newest_ready(self, speech_job_id: UUID, output_format: str) -> Made | None:
        """The last one of a format that can be downloaded."""
        row = self._session.execute(
            select(Rendition, Job)
            .join(Job, Job.id == Rendition.job_id)
            .where(
                Rendition.speech_job_id == speech_job_id,
                Job.state == JobState.COMPLETED,
                Job.output_key.is_not(None),
                Job.output_format == output_format,
            )
            .order_by(Job.ended_at.desc())
            .limit(1)
        ).one_or_none()
        return None if row is None else (row[0], row[1])
