"""Build rows and jobs for tests."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session, sessionmaker

from mynah.contracts.states import JobKind
from mynah.contracts.tasks import (
    ASSEMBLE,
    SYNTHESIZE,
    PayloadT,
    StepPayload,
    TaskContract,
)
from mynah.db.connection import connect, make_session_factory
from mynah.db.ids import new_id
from mynah.db.models import Job, Step, User
from mynah.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from mynah.errors import BrokerUnavailable
from mynah.jobs.submission import PiecePlan, StepPlan, submit_job
from mynah.settings import Settings

QUEUE = "tts.espeak.batch"


@dataclass
class RecordingSender:
    """A sender that keeps what it was given, or refuses as an absent broker does."""

    sent: list[StepPayload] = field(default_factory=list)
    is_down: bool = False

    def send(
        self, contract: TaskContract[PayloadT], payload: PayloadT, queue: str | None = None
    ) -> None:
        if self.is_down:
            raise BrokerUnavailable
        assert isinstance(payload, StepPayload)
        self.sent.append(payload)

    def take(self) -> list[StepPayload]:
        """What was sent since the last call."""
        sent, self.sent = self.sent, []
        return sent


@dataclass(frozen=True)
class Database:
    """A test's database with a sender beside it."""

    settings: Settings
    sessions: sessionmaker[Session]
    sender: RecordingSender
    new_uow: UnitOfWorkFactory


def open_database(url: str, **overrides: object) -> tuple[Database, Callable[[], None]]:
    """A database by its address, and a function that closes it."""
    settings = Settings(database_url=url, **overrides)  # type: ignore[arg-type]
    engine = connect(settings)
    sessions = make_session_factory(engine)
    sender = RecordingSender()
    database = Database(settings, sessions, sender, lambda: UnitOfWork(sessions, sender))
    return database, lambda: close_engine(engine)


def close_engine(engine: Engine) -> None:
    """Close its connections, those too that a thread which still ends gives back later."""

    @event.listens_for(engine.pool, "checkin")
    def close(connection: Any, _: object) -> None:
        if connection is not None:
            connection.close()

    engine.dispose()


def add_user(new_uow: UnitOfWorkFactory, **columns: object) -> UUID:
    """An account; its password is of no use."""
    values = {"email": f"{secrets.token_hex(6)}@example.org", "password_hash": "-", **columns}
    with new_uow() as uow:
        user = User(id=new_id(), **values)
        uow.users.add(user)
        uow.commit()
        return user.id


def add_job(
    database: Database,
    user_id: UUID,
    pieces: int,
    window: int = 8,
    kind: str = JobKind.SPEECH,
) -> Job:
    """A job of so many pieces, submitted; it has no voice and cannot be spoken."""
    plans = [
        StepPlan(SYNTHESIZE, QUEUE, 0, PiecePlan(f"Piece {number}.", 100))
        for number in range(pieces)
    ]
    job = Job(id=new_id(), user_id=user_id, kind=kind, request={}, request_id="r-1")
    with database.new_uow() as uow:
        submit_job(uow, job, [*plans, StepPlan(ASSEMBLE, "audio", 1)], window)
        uow.commit()
    return job


def steps_of(database: Database, job_id: UUID) -> list[Step]:
    """The steps of a job in order."""
    with database.sessions() as session:
        return list(session.query(Step).filter_by(job_id=job_id).order_by(Step.ordinal))


def job_row(database: Database, job_id: UUID) -> Job:
    """A job as it is now."""
    with database.sessions() as session:
        return session.get_one(Job, job_id)
