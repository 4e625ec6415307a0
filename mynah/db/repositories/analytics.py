"""Figures over speech jobs and over what is stored, for one user or for all.

Every query reads one covering index only (``ix_jobs_figures``, ``ix_jobs_stored``) or the few
rows of a user, so that a year of them takes a fraction of a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Date, Float, cast, extract, func, literal, select
from sqlalchemy.orm import Session

from mynah.contracts.states import JobKind
from mynah.db.models import Job, Sample, Voice
from mynah.db.models.voice import SIZE_FACTS

_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Span:
    """Whose jobs (None: everybody's) and of which time: from ``start`` to before ``stop``."""

    user_id: UUID | None
    start: datetime
    stop: datetime


@dataclass(frozen=True, slots=True)
class JobSums:
    """Speech jobs of one day (UTC), state and error. Sums are over those that know the figure.

    ``pcm_saved_bytes``: less than the engine's own PCM. ``synthesis_audio_s``: the audio that
    ``synthesis_s`` went into. ``quality_sum`` is over ``quality_count`` jobs.
    """

    day: date
    state: str
    error_code: str | None
    jobs: int
    characters: int
    audio_s: float
    output_bytes: int
    saved_bytes: int
    pcm_bytes: int
    pcm_saved_bytes: int
    synthesis_s: float
    synthesis_audio_s: float
    quality_sum: float
    quality_count: int


@dataclass(frozen=True, slots=True)
class Waits:
    """From request to first work, in seconds; None without any job that was begun."""

    p50_s: float | None
    p95_s: float | None


@dataclass(frozen=True, slots=True)
class Stored:
    """What lies in the object store: how many things of a kind, and their bytes.

    ``byte_hours``: bytes times the hours that they will still be kept, where that ends.
    """

    count: int
    size_bytes: int
    byte_hours: float | None = None


class AnalyticsRepository:
    """Sums, never rows."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def job_sums(self, span: Span) -> list[JobSums]:
        """Speech jobs by day, state and error."""
        day = cast(func.timezone("UTC", Job.created_at), Date)
        sums = (
            func.count(),
            _sum(Job.characters),
            _sum(Job.actual_duration_s, Float),
            _sum(Job.output_size_bytes),
            _sum(Job.saved_bytes),
            _sum(Job.pcm_bytes),
            _sum(func.greatest(Job.pcm_bytes - Job.output_size_bytes, 0)),
            _sum(Job.synthesis_s, Float),
            _sum(Job.actual_duration_s, Float, Job.synthesis_s.is_not(None)),
            _sum(Job.quality_score, Float),
            func.count(Job.quality_score),
        )
        rows = self._session.execute(
            select(day, Job.state, Job.error_code, *sums)
            .where(*_speech_in(span))
            .group_by(day, Job.state, Job.error_code)
            .order_by(day)
        )
        return [JobSums(*row) for row in rows]

    def waits(self, span: Span) -> Waits:
        """How long jobs waited for a worker."""
        seconds = extract("epoch", Job.started_at - Job.created_at)
        shares = (func.percentile_cont(share).within_group(seconds) for share in (0.5, 0.95))
        row = self._session.execute(
            select(*shares).where(*_speech_in(span), Job.started_at.is_not(None))
        ).one()
        return Waits(*row)

    def stored_uploads(self, user_id: UUID | None) -> Stored:
        """Uploaded recordings."""
        return self._stored(Sample.size_bytes, _owned(Sample.user_id, user_id))

    def stored_voices(self, user_id: UUID | None) -> Stored:
        """Voices' own files: reference audio, profile, recording, sample."""
        sizes: ColumnElement[Any] = literal(0.0)
        for fact in SIZE_FACTS.values():
            sizes += func.coalesce(cast(Voice.facts[fact].as_string(), Float), 0)
        return self._stored(sizes, _owned(Voice.user_id, user_id))

    def stored_outputs(self, user_id: UUID | None) -> Stored:
        """Outputs of jobs, until their retention is over."""
        hours = extract("epoch", Job.expires_at - func.now()) / _SECONDS_PER_HOUR
        row = self._session.execute(
            select(
                func.count(),
                _sum(Job.output_size_bytes),
                _sum(Job.output_size_bytes * func.greatest(hours, 0), Float),
            ).where(Job.output_key.is_not(None), *_owned(Job.user_id, user_id))
        ).one()
        return Stored(*row)

    def _stored(self, sizes: Any, conditions: list[ColumnElement[bool]]) -> Stored:
        row = self._session.execute(select(func.count(), _sum(sizes)).where(*conditions)).one()
        return Stored(*row)


def _speech_in(span: Span) -> list[ColumnElement[bool]]:
    return [
        # Written into the statement: a parameter would not tell that the partial index fits.
        Job.kind == literal(JobKind.SPEECH.value, literal_execute=True),
        Job.created_at >= span.start,
        Job.created_at < span.stop,
        *_owned(Job.user_id, span.user_id),
    ]


def _owned(column: Any, user_id: UUID | None) -> list[ColumnElement[bool]]:
    """Of one user, or of any user."""
    return [column.is_not(None) if user_id is None else column == user_id]


def _sum(value: Any, kind: Any = BigInteger, where: Any = None) -> ColumnElement[Any]:
    """A sum, 0 of nothing; Postgres sums big integers into decimals."""
    total = func.sum(value)
    chosen = total if where is None else total.filter(where)
    return cast(func.coalesce(chosen, 0), kind)
