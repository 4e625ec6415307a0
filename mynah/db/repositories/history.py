"""What a user had spoken: finished speech jobs, batches' items among them, and sums over time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, func, null, select, text
from sqlalchemy.orm import Session

from mynah.contracts.states import JobKind, JobState
from mynah.db.models import Job, Voice

_UNSPOKEN = (JobState.FAILED, JobState.CANCELLED)  # their characters were given back


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs; None: whatever it is. ``until`` itself is not among them."""

    voice_id: UUID | None = None
    engine: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text_contains: str | None = None


@dataclass(frozen=True, slots=True)
class Sums:
    """Speech of one stretch of time; ``group`` is a voice's or an engine's id, or nothing."""

    start: datetime
    group: str | None
    characters: int
    jobs: int
    audio_s: float


class HistoryRepository:
    """Speech jobs whose output is there, by owner, each with its voice while there is one."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, user_id: UUID, job_id: UUID) -> tuple[Job, Voice | None] | None:
        """One of a user."""
        row = self._session.execute(self._of(user_id).where(Job.id == job_id)).first()
        return None if row is None else (row[0], row[1])

    def page(
        self,
        user_id: UUID,
        wanted: Wanted,
        *,
        after: UUID | None,
        limit: int,
        newest_first: bool = True,
    ) -> list[tuple[Job, Voice | None]]:
        """The next ones after a job, in the order of their making."""
        query = self._of(user_id)
        if wanted.voice_id is not None:
            query = query.where(Job.voice_id == wanted.voice_id)
        if wanted.engine is not None:
            query = query.where(Job.request["engine"].as_string() == wanted.engine)
        if wanted.since is not None:
            query = query.where(Job.created_at >= wanted.since)
        if wanted.until is not None:
            query = query.where(Job.created_at < wanted.until)
        if wanted.text_contains:
            said = Job.request["text"].as_string()
            query = query.where(said.icontains(wanted.text_contains, autoescape=True))
        if after is not None:
            query = query.where(Job.id < after if newest_first else Job.id > after)
        order = Job.id.desc() if newest_first else Job.id.asc()
        rows = self._session.execute(query.order_by(order).limit(limit))
        return [(job, voice) for job, voice in rows]

    def sums(
        self, user_id: UUID, start: datetime, stop: datetime, *, unit: str, group: str | None
    ) -> list[Sums]:
        """Speech by hour, day, week or month (UTC, ``unit``), and by ``group``: voice, engine."""
        moment = func.date_trunc(unit, Job.created_at, "UTC")
        names = {"voice": Job.request["voice_id"], "engine": Job.request["engine"]}
        name = null() if group is None else names[group].as_string()
        rows = self._session.execute(
            select(
                moment.label("start"),
                name.label("name"),
                func.coalesce(func.sum(Job.characters), 0),
                func.count(),
                func.coalesce(func.sum(Job.actual_duration_s), 0.0),
            )
            .where(
                Job.user_id == user_id,
                Job.kind == JobKind.SPEECH,
                Job.state.not_in(_UNSPOKEN),
                Job.created_at >= start,
                Job.created_at < stop,
            )
            .group_by(text("1"), text("2"))
        )
        return [Sums(row[0], row[1], int(row[2]), row[3], float(row[4])) for row in rows]

    @staticmethod
    def _of(user_id: UUID) -> Select[Job, Voice]:
        return (
            select(Job, Voice)
            .outerjoin(Voice, Voice.id == Job.voice_id)
            .where(
                Job.user_id == user_id,
                Job.kind == JobKind.SPEECH,
                Job.state == JobState.COMPLETED,
                Job.output_key.is_not(None),
            )
        )
