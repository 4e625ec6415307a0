"""Put a new job and its steps into the database, and its first messages behind the commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from mynah.contracts.speech import PieceSpeech
from mynah.contracts.states import JobState, StepState
from mynah.contracts.tasks import StepPayload, TaskContract
from mynah.db.ids import new_id
from mynah.db.models import Job, Piece, Step
from mynah.db.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class PiecePlan:
    """Text for one engine call, the pause behind it, and what it stands for in the request."""

    text: str
    pause_after_ms: int
    source_start: int = 0
    source_end: int = 0
    speech: PieceSpeech | None = None
    chapter: str | None = None


@dataclass(frozen=True, slots=True)
class StepPlan:
    """A step to be: steps of one stage run in parallel, stages one after another.

    ``weight``: the step's share of the job's work, for speech in seconds of audio.
    """

    contract: TaskContract[StepPayload]
    queue: str
    stage: int
    piece: PiecePlan | None = None
    weight: float = 1.0


def submit_job(uow: UnitOfWork, job: Job, plans: Sequence[StepPlan], window: int) -> None:
    """Add ``job`` with its steps; release the first ``window`` steps of the first stage.

    The rest is released step by step as steps finish, which keeps long jobs from filling the
    queue. The caller commits.
    """
    submit_jobs(uow, [(job, plans)], window)


def submit_jobs(
    uow: UnitOfWork, orders: Sequence[tuple[Job, Sequence[StepPlan]]], window: int
) -> list[Piece]:
    """Add jobs as ``submit_job`` does, however many in one statement; their pieces, in order."""
    steps: list[Step] = []
    pieces: list[Piece] = []
    for job, plans in orders:
        own, spoken = _build_rows(job, plans, window)
        steps += own
        pieces += spoken
    jobs = {job.id: job for job, _ in orders}
    uow.submissions.add(list(jobs.values()), steps, pieces)
    _send_ready(uow, jobs, steps)
    return pieces


def submit_charged_job(
    uow: UnitOfWork,
    job: Job,
    plans: Sequence[StepPlan],
    window: int,
    quota: int,
    *,
    is_durable: bool,
) -> list[Piece] | None:
    """Add a job as ``submit_job`` does and take its characters, in one statement; its pieces.

    None, and nothing done, beyond the quota. Unless ``is_durable`` a crash of the database's
    server may forget what was added within the last second.
    """
    steps, pieces = _build_rows(job, plans, window)
    if not uow.submissions.add_charged(job, steps, pieces, quota, is_durable=is_durable):
        return None
    _send_ready(uow, {job.id: job}, steps)
    return pieces


def _build_rows(job: Job, plans: Sequence[StepPlan], window: int) -> tuple[list[Step], list[Piece]]:
    """The steps and pieces of a new job, the first ``window`` steps released."""
    job.id = job.id or new_id()
    job.state = JobState.PENDING
    job.steps_total = len(plans)
    job.work_total = sum(plan.weight for plan in plans)
    steps = [_build_step(job, plan, ordinal) for ordinal, plan in enumerate(plans)]
    for step in [step for step in steps if step.stage == 0][:window]:
        step.state = StepState.READY
        step.sent_count = 1
    pieces = [
        _build_piece(step, plan.piece)
        for step, plan in zip(steps, plans, strict=True)
        if plan.piece is not None
    ]
    return steps, pieces


def _send_ready(uow: UnitOfWork, jobs: Mapping[UUID, Job], steps: Iterable[Step]) -> None:
    for step in steps:
        if step.state == StepState.READY:
            uow.send_step(step, jobs[step.job_id])


def _build_piece(step: Step, plan: PiecePlan) -> Piece:
    return Piece(
        step_id=step.id,
        job_id=step.job_id,
        ordinal=step.ordinal,
        text=plan.text,
        source_start=plan.source_start,
        source_end=plan.source_end,
        speech=plan.speech.model_dump(mode="json") if plan.speech else None,
        chapter=plan.chapter,
        pause_after_ms=plan.pause_after_ms,
    )


def _build_step(job: Job, plan: StepPlan, ordinal: int) -> Step:
    return Step(
        id=new_id(),
        job_id=job.id,
        user_id=job.user_id,
        task=plan.contract.name,
        queue=plan.queue,
        stage=plan.stage,
        ordinal=ordinal,
        weight=plan.weight,
        state=StepState.WAITING,
        attempts=0,
        sent_count=0,
    )
