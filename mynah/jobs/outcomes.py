"""What the end of a job without success means for the thing that it was about."""

from __future__ import annotations

from collections.abc import Callable

from mynah.contracts.states import JobKind, SampleState, VoiceState
from mynah.db.models import Job
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import MynahError


def _fail_voice(uow: UnitOfWork, job: Job, error: MynahError) -> None:
    voice = uow.voices.by_id(job.voice_id) if job.voice_id else None
    if voice is not None and voice.state == VoiceState.CLONING:
        voice.state = VoiceState.FAILED
        voice.error_code = error.code
        voice.error_message = error.message


def _reject_sample(uow: UnitOfWork, job: Job, error: MynahError) -> None:
    sample = uow.samples.by_id(job.sample_id) if job.sample_id else None
    if sample is not None and sample.state == SampleState.UPLOADED:
        sample.state = SampleState.REJECTED
        sample.error_code = error.code
        sample.error_message = error.message


_FAILURES: dict[str, Callable[[UnitOfWork, Job, MynahError], None]] = {
    JobKind.CLONE: _fail_voice,
    JobKind.ANALYSIS: _reject_sample,
}


def apply_failure(uow: UnitOfWork, job: Job, error: MynahError) -> None:
    """Tell the job's voice or sample that nothing became of it."""
    apply = _FAILURES.get(job.kind)
    if apply is not None:
        apply(uow, job, error)
