"""The moves of a job: finish a step, put it back, complete, fail, cancel.

Every function works inside the caller's transaction, with the job's row locked.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from uuid import UUID

from mynah.contracts.states import OPEN_JOB_STATES, JobKind, JobState, StepState
from mynah.db.clock import utc_now
from mynah.db.models import Job, Step
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import Conflict, MynahError
from mynah.jobs.outcomes import apply_failure
from mynah.jobs.progress import estimate_eta_s
from mynah.webhooks.outbox import tell_job_ended

EARLY_ASSEMBLY_S = 2.0  # before the last piece, as far as one can tell


def finish_step(uow: UnitOfWork, job: Job, step: Step, token: UUID) -> bool:
    """Mark a step done and release what follows it. False: the claim is lost, change nothing.

    Completes the job with its last step.
    """
    if job.state not in OPEN_JOB_STATES or not uow.steps.finish(step.id, token):
        return False
    if job.state == JobState.PENDING:  # its row was held by somebody when the step was claimed
        job.state, job.started_at = JobState.PROCESSING, utc_now()
    job.steps_done += 1
    job.work_done += step.weight
    job.progress = round(min(job.work_done / max(job.work_total, step.weight), 1.0), 4)
    if job.steps_done == job.steps_total:
        _end(uow, job, JobState.COMPLETED)
        return True
    following = uow.steps.next_open(job.id, step.stage)
    if following is None:  # what follows began early, and may have been put back meanwhile
        _send_all(uow, job, uow.steps.hurry_stage(job.id, step.stage + 1))
        return True
    if following.stage > step.stage:
        release_stage(uow, job, following.stage)
        return True
    if following.state == StepState.WAITING:
        following.state = StepState.READY
        uow.steps.mark_sent(following)
        uow.send_step(following, job)
    if job.kind == JobKind.SPEECH and _is_nearly_spoken(job):
        release_stage(uow, job, step.stage + 1)
    return True


def _is_nearly_spoken(job: Job) -> bool:
    """Whether the assembly may begin: it waits for the last pieces while it joins the others."""
    if job.work_done < job.work_total / 2:
        return False
    left_s = estimate_eta_s(job.started_at, job.work_done, job.work_total, utc_now())
    return left_s is not None and left_s <= EARLY_ASSEMBLY_S


def release_stage(uow: UnitOfWork, job: Job, stage: int) -> None:
    """Release the steps of a stage whose predecessor is done."""
    _send_all(uow, job, uow.steps.release_stage(job.id, stage))


def _send_all(uow: UnitOfWork, job: Job, steps: Iterable[Step]) -> None:
    for step in steps:
        uow.send_step(step, job)


def put_back_step(uow: UnitOfWork, step: Step, token: UUID, delay_s: float, is_free: bool) -> None:
    """Give a claimed step back; the sweeper sends it after ``delay_s``."""
    uow.steps.put_back(step.id, token, timedelta(seconds=delay_s), is_free=is_free)


def fail_job(uow: UnitOfWork, job: Job, error: MynahError) -> None:
    """End a job with an error that its owner can read."""
    if job.state not in OPEN_JOB_STATES:
        return
    job.error_code = error.code
    job.error_message = error.message
    _stop(uow, job, JobState.FAILED)
    apply_failure(uow, job, error)


def cancel_job(uow: UnitOfWork, job: Job) -> None:
    """Cancel an open job; running steps notice at their next heartbeat.

    Raises Conflict when the job has ended in another way; cancelling twice is no error.
    """
    if job.state == JobState.CANCELLED:
        return
    if job.state not in OPEN_JOB_STATES:
        raise Conflict(f"The job is {job.state} already.", code="job_ended")
    job.error_code = "cancelled"
    _stop(uow, job, JobState.CANCELLED)
    apply_failure(uow, job, MynahError("The job was cancelled.", code="cancelled"))


def _stop(uow: UnitOfWork, job: Job, state: JobState) -> None:
    _end(uow, job, state)
    uow.steps.cancel_all(job.id)
    if job.characters and job.usage_period:
        uow.usage.give_back(job.user_id, job.usage_period, job.characters)


def _end(uow: UnitOfWork, job: Job, state: JobState) -> None:
    job.state = state
    job.ended_at = utc_now()
    tell_job_ended(uow, job)
    if job.parent_id is not None:
        uow.before_commit(job.parent_id, partial(_count_ended_child, uow, job.parent_id))


def _count_ended_child(uow: UnitOfWork, parent_id: UUID) -> None:
    """A batch goes on when its last item has ended, however it did."""
    if uow.batches.child_ended(parent_id) == 0:
        release_stage(uow, uow.jobs.by_id(parent_id), 0)
