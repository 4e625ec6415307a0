"""Claims: a task's hold on its step, kept by heartbeat and fenced by a token."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import structlog

from mynah.contracts.tasks import StepPayload
from mynah.db.models import Job, Piece, Step, Voice
from mynah.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from mynah.errors import MynahError, WorkerLost
from mynah.jobs.transitions import fail_job

log = structlog.get_logger(__name__)


class ClaimLost(Exception):
    """The step belongs to another attempt now, or its job was cancelled: stop."""


class MadeWay(Exception):
    """The step stands back for more urgent work, to be done again later."""


class HandedBack(Exception):
    """This worker cannot do the step, and takes no more such work: it is another worker's."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a task works on: detached rows to read, and the token that lets it finish.

    ``voice``: the piece's, as it was at ``claimed_at`` (monotonic), if the job's user may speak
    as it.
    """

    job: Job
    step: Step
    piece: Piece | None
    token: UUID
    lost: threading.Event = field(default_factory=threading.Event)
    voice: Voice | None = None
    claimed_at: float = field(default_factory=time.monotonic)

    def ensure_held(self) -> None:
        """Raise ClaimLost once the heartbeat found the claim gone. Cheap: no query."""
        if self.lost.is_set():
            raise ClaimLost(f"step {self.step.id} was taken away")


def claim_step(
    new_uow: UnitOfWorkFactory, payload: StepPayload, lease: timedelta, max_attempts: int
) -> Claim | None:
    """Claim the step whose turn it is in the queue of a message. None: no step waits there.

    A step that killed ``max_attempts`` workers fails its job instead of killing the next one.
    """
    with new_uow() as uow:
        found = uow.each_by_itself().claims.claim(payload.step_id, lease)
        if found is None:
            return None
        job, step, piece, voice = found
        uow.commit()
    if step.claim_token is None:
        return None
    claim = Claim(job, step, piece, step.claim_token, voice=voice)
    if step.attempts > max_attempts:
        _fail(new_uow, claim, WorkerLost("The work was lost with its worker too many times."))
        return None
    return claim


def _fail(new_uow: UnitOfWorkFactory, claim: Claim, error: MynahError) -> None:
    with new_uow() as uow:
        fail_claimed_job(uow, claim, error)
        uow.commit()


def fail_claimed_job(uow: UnitOfWork, claim: Claim, error: MynahError) -> None:
    """End the claim's job with an error, unless the claim was lost. The caller commits."""
    job = uow.jobs.locked(claim.job.id)
    if job is not None and uow.steps.finish(claim.step.id, claim.token):
        fail_job(uow, job, error)


class LeaseKeeper:
    """One thread per process that renews the leases of all running claims."""

    def __init__(self, new_uow: UnitOfWorkFactory, lease_s: float, heartbeat_s: float) -> None:
        self._new_uow = new_uow
        self._lease = timedelta(seconds=lease_s)
        self._heartbeat_s = heartbeat_s
        self._claims: dict[UUID, Claim] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def keeping(self, claim: Claim) -> Iterator[None]:
        """Keep a claim's lease alive while the block runs."""
        with self._lock:
            self._claims[claim.token] = claim
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._claims.pop(claim.token, None)

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(self._heartbeat_s):
            with self._lock:
                claims = dict(self._claims)
            if claims:
                self._renew(claims)

    def _renew(self, claims: dict[UUID, Claim]) -> None:
        try:
            with self._new_uow() as uow:
                held = uow.steps.renew(list(claims), self._lease)
                uow.commit()
        except MynahError as error:
            # The claim stays ours as long as nobody else takes it: try again next time.
            log.warning("lease_not_renewed", error_code=error.code)
            return
        except Exception:  # the keeper must outlive any fault of one round
            log.exception("lease_not_renewed")
            return
        for token, claim in claims.items():
            if token not in held:
                claim.lost.set()
