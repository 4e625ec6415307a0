"""How far a job is and how long it will take: pure functions of what its row says."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from mynah.contracts.states import JobState


class Work(Protocol):
    """What of a job tells its progress: its row, or some columns of it."""

    @property
    def state(self) -> str:
        """A JobState."""
        ...

    @property
    def started_at(self) -> datetime | None:
        """When its first step was claimed."""
        ...

    @property
    def work_done(self) -> float:
        """Of ``work_total``, in the unit of ``Step.weight``."""
        ...

    @property
    def work_total(self) -> float:
        """The weight of all steps."""
        ...

    @property
    def estimated_duration_s(self) -> float | None:
        """Seconds of audio that the whole is expected to have."""
        ...

    @property
    def actual_duration_s(self) -> float | None:
        """Seconds of audio that the finished output has."""
        ...


def eta_of(job: Work, now: datetime) -> float | None:
    """Seconds to the job's end; None unless it is worked on and has a pace."""
    if job.state != JobState.PROCESSING:
        return None
    return estimate_eta_s(job.started_at, job.work_done, job.work_total, now)


def estimate_eta_s(
    started_at: datetime | None, work_done: float, work_total: float, now: datetime
) -> float | None:
    """Seconds until the work is done, at its pace so far; None before there is a pace.

    Never negative. Between two finished pieces it grows a little, since nobody knows how far the
    pieces in hand are; the longer a job runs, the less.
    """
    if started_at is None or work_done <= 0:
        return None
    spent_s = max((now - started_at).total_seconds(), 0.0)
    return round(spent_s * max(work_total - work_done, 0.0) / work_done, 1)


def audio_done_of(job: Work) -> float:
    """Seconds of audio that are made, while it is made as a share of what is expected."""
    if job.state == JobState.COMPLETED and job.actual_duration_s is not None:
        return job.actual_duration_s
    if job.estimated_duration_s is None or job.work_total <= 0:
        return 0.0
    return round(job.estimated_duration_s * min(job.work_done / job.work_total, 1.0), 2)
