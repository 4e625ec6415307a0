"""The unit of work: one transaction, its repositories, and the messages to send after it."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from mynah.contracts.tasks import StepPayload, TaskSender, step_contract
from mynah.db.connection import translated_errors
from mynah.db.models import Job, Step
from mynah.db.repositories.accounts import ApiKeyRepository, RefreshTokenRepository, UserRepository
from mynah.db.repositories.analytics import AnalyticsRepository
from mynah.db.repositories.batches import BatchRepository
from mynah.db.repositories.consents import ConsentRepository
from mynah.db.repositories.dictionaries import DictionaryRepository
from mynah.db.repositories.fair_claims import FairClaims
from mynah.db.repositories.history import HistoryRepository
from mynah.db.repositories.jobs import JobRepository
from mynah.db.repositories.named_requests import NamedRequestRepository
from mynah.db.repositories.renditions import RenditionRepository
from mynah.db.repositories.samples import SampleRepository
from mynah.db.repositories.steps import PieceRepository, StepRepository
from mynah.db.repositories.submissions import SubmissionRepository
from mynah.db.repositories.usage import UsageRepository
from mynah.db.repositories.voices import VoiceRepository
from mynah.db.repositories.webhooks import DeliveryRepository, WebhookRepository
from mynah.errors import BrokerUnavailable

log = structlog.get_logger(__name__)


class UnitOfWork:
    """``with unit_of_work() as uow: …; uow.commit()``; without commit it rolls back.

    Messages queued with ``send_step`` go out after the commit. A message that cannot be sent
    is no error: the sweeper sends it again.
    """

    def __init__(self, session_factory: sessionmaker[Session], sender: TaskSender) -> None:
        self._session_factory = session_factory
        self._sender = sender
        self._outbox: list[tuple[str, StepPayload, str]] = []
        self._last: list[tuple[UUID, Callable[[], None]]] = []

    def __enter__(self) -> Self:
        self.session = self._session_factory()
        self.users = UserRepository(self.session)
        self.api_keys = ApiKeyRepository(self.session)
        self.refresh_tokens = RefreshTokenRepository(self.session)
        self.samples = SampleRepository(self.session)
        self.consents = ConsentRepository(self.session)
        self.voices = VoiceRepository(self.session)
        self.dictionaries = DictionaryRepository(self.session)
        self.jobs = JobRepository(self.session)
        self.history = HistoryRepository(self.session)
        self.batches = BatchRepository(self.session)
        self.steps = StepRepository(self.session)
        self.submissions = SubmissionRepository(self.session)
        self.claims = FairClaims(self.session)
        self.pieces = PieceRepository(self.session)
        self.renditions = RenditionRepository(self.session)
        self.named_requests = NamedRequestRepository(self.session)
        self.webhooks = WebhookRepository(self.session)
        self.deliveries = DeliveryRepository(self.session)
        self.usage = UsageRepository(self.session)
        self.analytics = AnalyticsRepository(self.session)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with translated_errors():
            try:
                self.session.close()
            finally:
                if error is not None:
                    raise error

    def each_by_itself(self) -> Self:
        """Have every statement commit by itself; to be said before the first one.

        A transaction costs two round trips more (BEGIN, and COMMIT or ROLLBACK). What reads, or
        writes with one statement, has no need of them.
        """
        with translated_errors():
            self.session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        return self

    def ping(self) -> None:
        """Raises DatabaseUnavailable when the database does not answer."""
        with translated_errors():
            self.session.execute(text("SELECT 1"))

    def send_step(self, step: Step, job: Job) -> None:
        """Queue the step's message for after the commit."""
        payload = StepPayload(step_id=step.id, job_id=job.id, request_id=job.request_id)
        self._outbox.append((step.task, payload, step.queue))

    def before_commit(self, row_id: UUID, work: Callable[[], None]) -> None:
        """Have work on a row that many transactions share done last, in the order of the ids.

        Its lock is held shortly then, and nobody waits for another row while holding it.
        """
        self._last.append((row_id, work))

    def commit(self) -> bool:
        """Commit, then send; whether all messages went out."""
        with translated_errors():
            for _, work in sorted(self._last, key=lambda entry: entry[0]):
                work()
            self._last.clear()
            self.session.commit()
        outbox, self._outbox = self._outbox, []
        for task, payload, queue in outbox:
            try:
                self._sender.send(step_contract(task), payload, queue)
            except BrokerUnavailable:
                # The rest would wait for the same broker; the sweeper sends them all.
                log.warning("steps_not_sent", queue=queue, job_id=str(payload.job_id))
                return False
        return True


UnitOfWorkFactory = Callable[[], UnitOfWork]
