"""Voice samples."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from mynah.db.models import Sample, VoiceSample
from mynah.db.repositories.paging import Page, fetch_page


class SampleRepository:
    """Uploaded recordings, by owner."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, sample: Sample) -> None:
        """Add a recording."""
        self._session.add(sample)

    def get(self, user_id: UUID, sample_id: UUID) -> Sample | None:
        """One recording of a user."""
        return self._session.scalar(
            select(Sample).where(Sample.id == sample_id, Sample.user_id == user_id)
        )

    def by_id(self, sample_id: UUID) -> Sample | None:
        """A recording for a worker, whoever owns it."""
        return self._session.get(Sample, sample_id)

    def many(self, user_id: UUID, sample_ids: Sequence[UUID]) -> Sequence[Sample]:
        """The recordings of a user with these ids, in any order; unknown ones are missing."""
        return self._session.scalars(
            select(Sample).where(Sample.id.in_(sample_ids), Sample.user_id == user_id)
        ).all()

    def page(
        self, user_id: UUID, *, state: str | None, cursor: UUID | None, limit: int
    ) -> Page[Sample]:
        """A page of a user's recordings."""
        query = select(Sample).where(Sample.user_id == user_id)
        if state is not None:
            query = query.where(Sample.state == state)
        return fetch_page(self._session, query, Sample.id, cursor, limit)

    def delete(self, sample: Sample) -> None:
        """Remove the row."""
        self._session.delete(sample)

    def voice_ids(self, sample_id: UUID) -> Sequence[UUID]:
        """The voices made from a recording."""
        return self._session.scalars(
            select(VoiceSample.voice_id).where(VoiceSample.sample_id == sample_id)
        ).all()
