"""Run one step: claim it, keep its lease, do the work, finish it in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from mynah.contracts.tasks import StepPayload
from mynah.db.models import Job
from mynah.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from mynah.errors import EngineUnavailable, MynahError
from mynah.jobs.claims import (
    Claim,
    ClaimLost,
    HandedBack,
    LeaseKeeper,
    MadeWay,
    claim_step,
    fail_claimed_job,
)
from mynah.jobs.transitions import finish_step, put_back_step
from mynah.settings import Settings

log = structlog.get_logger(__name__)

RETRY_DELAY_S = 1.0
MAX_RETRY_DELAY_S = 30.0
MAX_DOUBLINGS = 10  # beyond 1023 the delay would not fit a float: an outage of half a day

Commit = Callable[[UnitOfWork, Job], None]
"""Writes a step's result inside the transaction that finishes it."""

StepWork = Callable[[Claim], Commit]
"""Does a step's work, returns how to write its result. Raises MynahError, ClaimLost, MadeWay,
HandedBack."""


@dataclass(frozen=True, slots=True)
class StepRunner:
    """Runs steps in one process."""

    new_uow: UnitOfWorkFactory
    keeper: LeaseKeeper
    settings: Settings

    def run(self, payload: StepPayload, work: StepWork) -> None:
        """Do the step whose turn it is in a message's queue, once, whatever happens around it.

        When the database is away this raises; the lease ends and the sweeper sends the step
        again.
        """
        lease = timedelta(seconds=self.settings.lease_s)
        claim = claim_step(self.new_uow, payload, lease, self.settings.max_attempts)
        if claim is None:
            log.info("step_not_claimed", step_id=str(payload.step_id))
            return
        structlog.contextvars.bind_contextvars(
            job_id=str(claim.job.id), request_id=claim.job.request_id
        )
        try:
            with self.keeper.keeping(claim):
                commit = work(claim)
                claim.ensure_held()
                self._finish(claim, commit)
        except ClaimLost:
            log.info("claim_lost", step_id=str(payload.step_id))
        except (MadeWay, HandedBack) as reason:
            log.info("step_put_back", step_id=str(claim.step.id), reason=str(reason))
            with self.new_uow() as uow:
                put_back_step(uow, claim.step, claim.token, 0.0, is_free=True)
                uow.commit()
        except MynahError as error:
            self._give_up(claim, error)
        except Exception as error:  # a fault of ours: try again, then tell the owner
            log.exception("step_crashed", task=claim.step.task)
            self._give_up_after_crash(claim, error)

    def _finish(self, claim: Claim, commit: Commit) -> None:
        with self.new_uow() as uow:
            job = uow.jobs.locked(claim.job.id)
            if job is None or not finish_step(uow, job, claim.step, claim.token):
                raise ClaimLost(f"step {claim.step.id} was finished by another attempt")
            commit(uow, job)
            uow.commit()

    def _give_up(self, claim: Claim, error: MynahError) -> None:
        log.warning("step_failed", task=claim.step.task, error_code=error.code)
        # What this worker cannot load another may; what no worker can must not wait for ever.
        is_free = not isinstance(error, EngineUnavailable) or error.code == "engine_busy"
        may_repeat = is_free or claim.step.attempts < self.settings.max_attempts
        with self.new_uow() as uow:
            if error.retryable and may_repeat:
                doublings = min(claim.step.sent_count - 1, MAX_DOUBLINGS)
                delay_s = min(RETRY_DELAY_S * 2**doublings, MAX_RETRY_DELAY_S)
                put_back_step(uow, claim.step, claim.token, delay_s, is_free=is_free)
            else:
                fail_claimed_job(uow, claim, error)
            uow.commit()

    def _give_up_after_crash(self, claim: Claim, error: Exception) -> None:
        with self.new_uow() as uow:
            if claim.step.attempts < self.settings.max_attempts:
                put_back_step(uow, claim.step, claim.token, RETRY_DELAY_S, is_free=False)
            else:
                message = f"The work failed {claim.step.attempts} times ({type(error).__name__})."
                fail_claimed_job(uow, claim, MynahError(message))
            uow.commit()
