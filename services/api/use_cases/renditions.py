"""Renditions: a finished speech job in another format, made once and kept as long as it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from mynah.audio.formats import OutputLayout, OutputSpec
from mynah.contracts.speech import OutputFormat, RenditionRequest, SpeechRequest
from mynah.contracts.states import OPEN_JOB_STATES, JobKind, JobState
from mynah.contracts.tasks import RENDER
from mynah.db.ids import new_id
from mynah.db.models import Job, Rendition
from mynah.db.repositories.renditions import Made
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import Conflict, Gone, NotFound
from mynah.jobs.submission import StepPlan, submit_job
from services.api.use_cases.speech import Requester, find_speech_job, finished_output

MAX_RENDITIONS_PER_JOB = 20


def order_rendition(
    uow: UnitOfWork, requester: Requester, speech_job_id: UUID, spec: OutputSpec
) -> Made:
    """Find the rendition or have it made; the caller commits.

    Two who ask at once get the same one: the speech job's row is locked, and the table knows
    each layout of a job once. One that failed or was removed is made again. Raises NotFound,
    Conflict (no output yet, the output itself has this layout, too many), Gone.
    """
    find_speech_job(uow, requester.user_id, speech_job_id)
    speech = uow.jobs.locked(speech_job_id)
    if speech is None:
        raise NotFound("There is no such job.", code="job_not_found")
    finished_output(speech)
    own = _layout_of(speech)
    layout = spec.resolve(own.sample_rate, own.channels)
    if layout == own:
        raise Conflict("The job's own output is of this kind.", code="same_as_output")
    known = {
        rendition.spec: (rendition, job) for rendition, job in uow.renditions.of_job(speech.id)
    }
    found = known.get(layout.name)
    if found is not None and _is_of_use(found[1]):
        return found
    if found is None and len(known) >= MAX_RENDITIONS_PER_JOB:
        raise Conflict(
            f"A job has {MAX_RENDITIONS_PER_JOB} renditions at most.", code="too_many_renditions"
        )
    rendition = found[0] if found else Rendition(id=new_id(), spec=layout.name)
    job = _submit(uow, requester, speech, rendition.id, layout)
    rendition.speech_job_id, rendition.job_id = speech.id, job.id
    uow.renditions.add(rendition)
    return rendition, job


def list_renditions(uow: UnitOfWork, user_id: UUID, speech_job_id: UUID) -> Sequence[Made]:
    """Every rendition of a user's job, oldest first. Raises NotFound."""
    find_speech_job(uow, user_id, speech_job_id)
    return uow.renditions.of_job(speech_job_id)


def find_rendition(uow: UnitOfWork, user_id: UUID, speech_job_id: UUID, rendition_id: UUID) -> Made:
    """One rendition of a user's job. Raises NotFound."""
    find_speech_job(uow, user_id, speech_job_id)
    made = uow.renditions.get(speech_job_id, rendition_id)
    if made is None:
        raise NotFound("There is no such rendition.", code="rendition_not_found")
    return made


def ready_rendition(uow: UnitOfWork, speech_job_id: UUID, fmt: OutputFormat) -> Job:
    """The job of the newest rendition of a format. Raises Conflict when there is none yet."""
    made = uow.renditions.newest_ready(speech_job_id, fmt)
    if made is None:
        raise Conflict(
            f"There is no {fmt} of this job yet; ask for it with "
            f"POST /api/tts/job/{speech_job_id}/renditions.",
            code="rendition_not_ready",
        )
    return made[1]


def rendition_output(job: Job) -> str:
    """The object key of a rendition. Raises Conflict while there is none, Gone afterwards."""
    if job.state != JobState.COMPLETED:
        raise Conflict(f"The rendition is {job.state}.", code="rendition_not_ready")
    if job.output_key is None:
        raise Gone("The rendition was removed with its job's output.", code="output_expired")
    return job.output_key


def _layout_of(speech: Job) -> OutputLayout:
    facts = speech.result or {}
    request = SpeechRequest.model_validate(speech.request)
    made = OutputFormat(str(speech.output_format))
    return OutputLayout.of_output(request, made, facts["sample_rate"], facts["channels"])


def _is_of_use(job: Job) -> bool:
    return job.state in OPEN_JOB_STATES or (
        job.state == JobState.COMPLETED and job.output_key is not None
    )


def _submit(
    uow: UnitOfWork, requester: Requester, speech: Job, rendition_id: UUID, layout: OutputLayout
) -> Job:
    wish = RenditionRequest(
        speech_job_id=speech.id,
        rendition_id=rendition_id,
        output_format=layout.format,
        bitrate_kbps=layout.bitrate_kbps,
        vbr_quality=layout.vbr_quality,
        sample_rate=layout.sample_rate,
        channels=layout.channels,
    )
    job = Job(
        id=new_id(),
        user_id=speech.user_id,
        kind=JobKind.RENDITION,
        request=wish.model_dump(mode="json"),
        request_id=requester.request_id,
        output_format=layout.format,
        estimated_duration_s=speech.actual_duration_s,
        has_work_files=True,  # a file that was stored while the job was cancelled
    )
    submit_job(uow, job, [StepPlan(RENDER, RENDER.queue_for(), 0)], window=1)
    return job
