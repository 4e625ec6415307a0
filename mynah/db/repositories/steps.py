"""Steps and pieces: the claimable parts of jobs. All times are the database's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, text, update
from sqlalchemy.orm import Session

from mynah.contracts.states import StepState
from mynah.db.models import Job, Piece, Step


@dataclass(frozen=True, slots=True)
class QueueBacklog:
    """What waits in a queue: ready steps and the age of the oldest, in seconds."""

    queue: str
    ready: int
    running: int
    oldest_s: float


class StepRepository:
    """Steps."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def renew(self, tokens: Sequence[UUID], lease: timedelta) -> set[UUID]:
        """Renew the leases of these claims; the tokens that still hold are returned."""
        renewed = self._session.scalars(
            update(Step)
            .where(Step.claim_token.in_(tokens), Step.state == StepState.RUNNING)
            .values(lease_until=func.now() + lease)
            .returning(Step.claim_token)
        )
        return {token for token in renewed if token is not None}

    def finish(self, step_id: UUID, token: UUID) -> bool:
        """Mark a claimed step done. False: the claim was lost."""
        return self._leave(step_id, token, state=StepState.DONE)

    def put_back(self, step_id: UUID, token: UUID, delay: timedelta, *, is_free: bool) -> bool:
        """Give a claimed step back for a later try. ``is_free``: the try does not count."""
        return self._leave(
            step_id,
            token,
            state=StepState.READY,
            not_before=func.now() + delay,
            sent_at=None,
            attempts=Step.attempts - (1 if is_free else 0),
        )

    def _leave(self, step_id: UUID, token: UUID, **values: object) -> bool:
        left = self._session.scalar(
            update(Step)
            .where(Step.id == step_id, Step.claim_token == token, Step.state == StepState.RUNNING)
            .values(claim_token=None, lease_until=None, **values)
            .returning(Step.id)
            .execution_options(synchronize_session=False)
        )
        return left is not None

    def next_open(self, job_id: UUID, stage: int) -> Step | None:
        """What keeps a job from going on behind a step of ``stage`` that is done.

        A waiting step of the same stage, else one that is not done yet, else the first step of
        the stage that follows.
        """
        is_waiting = Step.state == StepState.WAITING
        return self._session.scalar(
            select(Step)
            .where(
                Step.job_id == job_id,
                Step.state != StepState.DONE,
                or_(is_waiting, Step.stage == stage),
            )
            .order_by(Step.stage, is_waiting.desc(), Step.ordinal)
            .limit(1)
        )

    def release_stage(self, job_id: UUID, stage: int) -> Sequence[Step]:
        """Make all waiting steps of a stage ready."""
        return self._session.scalars(
            update(Step)
            .where(Step.job_id == job_id, Step.stage == stage, Step.state == StepState.WAITING)
            .values(state=StepState.READY, sent_at=func.now(), sent_count=Step.sent_count + 1)
            .returning(Step)
        ).all()

    def hurry_stage(self, job_id: UUID, stage: int) -> Sequence[Step]:
        """Have what was put back for later, in a stage, tried now."""
        return self._session.scalars(
            update(Step)
            .where(
                Step.job_id == job_id,
                Step.stage == stage,
                Step.state == StepState.READY,
                Step.not_before.is_not(None),
            )
            .values(not_before=None, sent_at=func.now(), sent_count=Step.sent_count + 1)
            .returning(Step)
        ).all()

    def cancel_all(self, job_id: UUID) -> None:
        """Cancel every step of a job that is not done; running ones lose their claim."""
        self._session.execute(
            update(Step)
            .where(Step.job_id == job_id, Step.state != StepState.DONE)
            .values(state=StepState.CANCELLED, claim_token=None, lease_until=None)
            .execution_options(synchronize_session=False)
        )

    @staticmethod
    def mark_sent(step: Step) -> None:
        """Note that the step's message goes out with this commit."""
        step.sent_at = func.now()
        step.sent_count = (step.sent_count or 0) + 1

    def lease_over(self, limit: int) -> Sequence[Step]:
        """Running steps whose worker is gone, locked, those of others skipped."""
        return self._locked(
            and_(Step.state == StepState.RUNNING, Step.lease_until < func.now()), limit
        )

    def due(self, limit: int) -> Sequence[Step]:
        """Ready steps that were put back and whose time has come."""
        return self._locked(
            and_(
                Step.state == StepState.READY,
                Step.sent_at.is_(None),
                or_(Step.not_before.is_(None), Step.not_before <= func.now()),
            ),
            limit,
        )

    def unclaimed(self, queue: str, since: timedelta, limit: int) -> Sequence[Step]:
        """Ready steps of a queue that were sent longer ago than ``since``, oldest first."""
        return self._locked(
            and_(
                Step.state == StepState.READY,
                Step.queue == queue,
                Step.sent_at < func.now() - since,
            ),
            limit,
        )

    def long_unclaimed(self, base: timedelta, limit: int) -> Sequence[Step]:
        """Ready steps sent longer ago than ``base``, doubled with every sending."""
        waited = base * func.power(2, func.least(Step.sent_count - 1, 10))
        return self._locked(
            and_(Step.state == StepState.READY, Step.sent_at < func.now() - waited), limit
        )

    def _locked(self, condition: ColumnElement[bool], limit: int) -> Sequence[Step]:
        return self._session.scalars(
            select(Step)
            .where(condition)
            .order_by(Step.sent_at, Step.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).all()

    def ready_queues(self) -> Sequence[str]:
        """The queues that hold ready steps."""
        return self._session.scalars(
            select(Step.queue).where(Step.state == StepState.READY).distinct()
        ).all()

    def waiting_jobs(
        self, queues: Sequence[str], older_than: timedelta, limit: int
    ) -> list[tuple[UUID, str]]:
        """The jobs older than that with a ready step in one of these queues, and which queue."""
        rows = self._session.execute(
            select(Step.job_id, func.min(Step.queue))
            .join(Job, Job.id == Step.job_id)
            .where(
                Step.state == StepState.READY,
                Step.queue.in_(queues),
                Job.created_at < func.now() - older_than,
            )
            .group_by(Step.job_id)
            .limit(limit)
        )
        return [(job_id, queue) for job_id, queue in rows]

    def backlog(self) -> list[QueueBacklog]:
        """Depth and age per queue, from the truth."""
        oldest = func.min(Job.created_at).filter(Step.state == StepState.READY)
        rows = self._session.execute(
            select(
                Step.queue,
                func.count().filter(Step.state == StepState.READY),
                func.count().filter(Step.state == StepState.RUNNING),
                func.coalesce(func.extract("epoch", func.now() - oldest), 0.0),
            )
            .join(Job, Job.id == Step.job_id)
            .where(Step.state.in_((StepState.READY, StepState.RUNNING)))
            .group_by(Step.queue)
        )
        return [QueueBacklog(queue, ready, run, float(age)) for queue, ready, run, age in rows]

    def try_sweep_lock(self) -> bool:
        """Be the only sweeper until the end of the transaction."""
        return bool(self._session.scalar(text("SELECT pg_try_advisory_xact_lock(727102)")))


@dataclass(frozen=True, slots=True)
class SpokenPiece:
    """Where the segment of a piece lies, None until it is spoken, and the pause after it."""

    ordinal: int
    segment_key: str | None
    pause_after_ms: int


class PieceRepository:
    """The pieces of speech jobs."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def store_segment(self, step_id: UUID, **columns: object) -> None:
        """Write what came of a piece: its segment's key and length, words, report."""
        self._session.execute(
            update(Piece)
            .where(Piece.step_id == step_id)
            .values(columns)
            .execution_options(synchronize_session=False)
        )

    def of_step(self, step_id: UUID) -> Piece | None:
        """The piece that a step speaks."""
        return self._session.get(Piece, step_id)

    def of_job(self, job_id: UUID) -> Sequence[Piece]:
        """All pieces of a job in order."""
        return self._session.scalars(
            select(Piece).where(Piece.job_id == job_id).order_by(Piece.ordinal)
        ).all()

    def numbered(self, job_id: UUID, ordinal: int) -> Piece:
        """One piece of a job. Raises NoResultFound."""
        return self._session.scalars(
            select(Piece).where(Piece.job_id == job_id, Piece.ordinal == ordinal)
        ).one()

    def count(self, job_id: UUID) -> int:
        """How many pieces a job has."""
        return self._session.scalar(select(func.count()).where(Piece.job_id == job_id)) or 0

    def after(self, job_id: UUID, ordinal: int, limit: int) -> list[SpokenPiece]:
        """The next pieces of a job in order, spoken or not, without their texts."""
        rows = self._session.execute(
            select(Piece.ordinal, Piece.segment_key, Piece.pause_after_ms)
            .where(Piece.job_id == job_id, Piece.ordinal > ordinal)
            .order_by(Piece.ordinal)
            .limit(limit)
        )
        return [SpokenPiece(*row) for row in rows]
