"""Usage per user and month; characters are reserved with one atomic statement."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from mynah.db.models import Usage


def period_of(moment: datetime) -> str:
    """The month that usage at ``moment`` counts for."""
    return f"{moment:%Y-%m}"


class UsageRepository:
    """Sums per user and month."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, user_id: UUID, period: str) -> Usage | None:
        """One month of a user."""
        return self._session.get(Usage, (user_id, period))

    def reserve(
        self, user_id: UUID, period: str, characters: int, quota: int, *, jobs: int = 1
    ) -> bool:
        """Take ``characters`` of the month's quota; False, and nothing taken, beyond it."""
        if characters > quota:
            return False
        statement = insert(Usage).values(
            user_id=user_id,
            period=period,
            characters=characters,
            jobs=jobs,
            audio_s=0.0,
            cost=0.0,
            output_bytes=0,
            saved_bytes=0,
        )
        statement = statement.on_conflict_do_update(
            index_elements=[Usage.user_id, Usage.period],
            set_={"characters": Usage.characters + characters, "jobs": Usage.jobs + jobs},
            where=Usage.characters + characters <= quota,
        )
        return self._session.scalar(statement.returning(Usage.characters)) is not None

    def give_back(self, user_id: UUID, period: str, characters: int) -> None:
        """Return the characters of a job that was not spoken."""
        self._session.execute(
            update(Usage)
            .where(Usage.user_id == user_id, Usage.period == period)
            .values(characters=Usage.characters - characters)
        )

    def record_output(self, user_id: UUID, period: str, **sums: float) -> None:
        """Add what a finished job produced: audio_s, cost, output_bytes, saved_bytes."""
        self._session.execute(
            update(Usage)
            .where(Usage.user_id == user_id, Usage.period == period)
            .values({name: getattr(Usage, name) + value for name, value in sums.items()})
        )
