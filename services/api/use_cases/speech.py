"""Speech jobs: ask, look, cancel, fetch."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from mynah.audio.formats import OutputSpec, nearest_bitrate_kbps
from mynah.contracts.object_keys import Origin
from mynah.contracts.speech import TIER_BITRATE_KBPS, SpeechRequest
from mynah.contracts.states import JobKind, JobState, Lane
from mynah.db.clock import utc_now
from mynah.db.ids import new_id
from mynah.db.models import Job, Piece
from mynah.db.repositories.usage import period_of
from mynah.db.unit_of_work import UnitOfWork
from mynah.engines.catalog import engine_info
from mynah.errors import Conflict, Gone, InvalidRequest, NotFound, QuotaExceeded
from mynah.jobs.submission import StepPlan, submit_charged_job, submit_jobs
from mynah.jobs.transitions import cancel_job
from mynah.settings import Settings
from services.api.use_cases.speech_order import SpeechOrder
from services.api.use_cases.speech_planning import SpeechPlan, plan_order

SEED_BITS = 31


@dataclass(frozen=True, slots=True)
class Requester:
    """On whose behalf, from where, in which request, and how much they may have spoken."""

    user_id: UUID
    origin: Origin
    request_id: str
    monthly_character_quota: int | None = None  # None = the platform's


@dataclass(frozen=True, slots=True)
class PreparedSpeech:
    """A speech job to be, its steps, and about how large its output will be."""

    job: Job
    steps: Sequence[StepPlan]
    estimated_bytes: int


def order_speech(
    uow: UnitOfWork,
    settings: Settings,
    requester: Requester,
    order: SpeechOrder,
    lane: Lane = Lane.BATCH,
    *,
    kind: JobKind = JobKind.SPEECH,
) -> Job:
    """Make a speech job; a live one (``kind``) ends with its last piece. The caller commits.

    Raises what ``prepare_speech`` and ``place_speech`` raise.
    """
    prepared = prepare_speech(uow, settings, requester, order, lane, kind=kind)
    place_speech(uow, settings, requester, [prepared])
    return prepared.job


def prepare_speech(
    uow: UnitOfWork,
    settings: Settings,
    requester: Requester,
    order: SpeechOrder,
    lane: Lane = Lane.BATCH,
    *,
    kind: JobKind = JobKind.SPEECH,
) -> PreparedSpeech:
    """Check an order and plan its job; nothing is written.

    Raises NotFound (voice), Conflict (voice not ready), InvalidRequest, TextTooLong.
    """
    plan = plan_order(uow, settings, requester.user_id, order, lane)
    request = _build_request(order, plan, requester.origin)
    is_kept = kind is JobKind.SPEECH
    job = Job(
        id=new_id(),
        user_id=requester.user_id,
        kind=kind,
        request=request.model_dump(mode="json"),
        request_id=requester.request_id,
        voice_id=plan.voice.id,
        characters=plan.characters,
        usage_period=period_of(utc_now()),
        estimated_duration_s=plan.estimate.duration_s,
        estimated_cost=plan.estimate.cost,
        output_format=order.output_format,
        has_work_files=True,
    )
    steps = [step for step in plan.steps if is_kept or step.piece is not None]
    if not steps:
        raise InvalidRequest("There is nothing to speak in this text.", code="nothing_to_speak")
    sample_rate = engine_info(request.engine).sample_rate
    layout = OutputSpec.of_request(request).resolve(sample_rate, request.channels)
    return PreparedSpeech(job, steps, round(plan.estimate.duration_s * layout.bytes_per_s))


def place_speech(
    uow: UnitOfWork, settings: Settings, requester: Requester, speeches: Sequence[PreparedSpeech]
) -> list[Piece]:
    """Submit jobs and take their characters out of the quota, of all or of none; their pieces.

    The caller commits. Raises QuotaExceeded.
    """
    orders = [(speech.job, speech.steps) for speech in speeches]
    pieces = submit_jobs(uow, orders, settings.release_window)
    quota = quota_of(requester, settings)
    jobs = [speech.job for speech in speeches]
    _reserve_quota(uow, jobs, quota)  # last: it locks the user's row until the commit
    return pieces


def place_live_speech(
    uow: UnitOfWork,
    settings: Settings,
    requester: Requester,
    speech: PreparedSpeech,
    *,
    is_durable: bool,
) -> list[Piece]:
    """Place a speech that somebody waits for, in one statement; its pieces.

    ``is_durable``: as of ``submit_charged_job``. Raises QuotaExceeded.
    """
    quota, job = quota_of(requester, settings), speech.job
    window = settings.release_window
    pieces = submit_charged_job(uow, job, speech.steps, window, quota, is_durable=is_durable)
    if pieces is None:
        raise _beyond(quota, job.characters)
    return pieces


def find_speech_job(uow: UnitOfWork, user_id: UUID, job_id: UUID) -> Job:
    """A user's speech job. Raises NotFound."""
    job = uow.jobs.get(user_id, job_id, JobKind.SPEECH)
    if job is None:
        raise NotFound("There is no such job.", code="job_not_found")
    return job


def cancel_speech_job(uow: UnitOfWork, user_id: UUID, job_id: UUID) -> Job:
    """Cancel a user's job. Raises NotFound, Conflict when it ended in another way."""
    find_speech_job(uow, user_id, job_id)
    job = uow.jobs.locked(job_id)
    if job is None:
        raise NotFound("There is no such job.", code="job_not_found")
    cancel_job(uow, job)
    return job


def finished_output(job: Job) -> str:
    """The object key of a job's output.

    Raises Conflict while there is none yet or never will be, Gone after its retention.
    """
    if job.state != JobState.COMPLETED:
        raise Conflict(f"The job is {job.state}; it has no output.", code="job_not_completed")
    if job.output_key is None:
        raise Gone("The output was removed after its retention time.", code="output_expired")
    return job.output_key


def seconds_to_next_month(now: datetime) -> int:
    """Seconds until the usage period after ``now`` begins."""
    following = (now.replace(day=1) + timedelta(days=32)).replace(day=1)
    start = datetime(following.year, following.month, 1, tzinfo=UTC)
    return int((start - now).total_seconds()) + 1


class HasQuota(Protocol):
    """Who has a quota of their own, or the platform's (None)."""

    @property
    def monthly_character_quota(self) -> int | None:
        """Characters per month."""
        ...


def quota_of(holder: HasQuota, settings: Settings) -> int:
    """The characters that a user may have spoken per month."""
    if holder.monthly_character_quota is None:
        return settings.monthly_character_quota
    return holder.monthly_character_quota


def _build_request(order: SpeechOrder, plan: SpeechPlan, origin: Origin) -> SpeechRequest:
    """The request as it is stored. Raises UnsupportedFormat for an output that cannot be made."""
    request = SpeechRequest(
        text=plan.text,
        voice_id=plan.voice.id,
        language=plan.language,
        engine=plan.voice.engine,
        script=order.script,
        markup=order.markup,
        output_format=order.output_format,
        bitrate_kbps=order.bitrate_kbps or _tier_bitrate_kbps(order),
        vbr_quality=order.vbr_quality,
        sample_rate=order.sample_rate,
        channels=order.channels,
        voice_settings=order.voice_settings,
        pacing=order.pacing,
        pause_scale=order.pause_scale,
        loudness_lufs=order.loudness_lufs,
        dictionaries=plan.dictionaries,
        title=order.title,
        seed=secrets.randbits(SEED_BITS) if order.seed is None else order.seed,
        origin=origin,
    )
    OutputSpec.of_request(request)
    return request


def _tier_bitrate_kbps(order: SpeechOrder) -> int:
    """The tier's bitrate, or the nearest that the format has."""
    tier = TIER_BITRATE_KBPS[order.quality]
    fmt, rate = order.output_format, order.sample_rate
    return nearest_bitrate_kbps(fmt, tier, rate, order.channels) or tier


def _reserve_quota(uow: UnitOfWork, jobs: Sequence[Job], quota: int) -> None:
    first, characters = jobs[0], sum(job.characters for job in jobs)
    period = str(first.usage_period)
    if not uow.usage.reserve(first.user_id, period, characters, quota, jobs=len(jobs)):
        raise _beyond(quota, characters)


def _beyond(quota: int, characters: int) -> QuotaExceeded:
    return QuotaExceeded(
        f"The quota of {quota} characters per month does not allow {characters} more.",
        retry_after_s=seconds_to_next_month(utc_now()),
    )


def output_filename(job: Job, extension: str | None = None) -> str:
    """The name under which a browser saves a job's output, or it in another format."""
    return f"{output_name(job)}.{extension or job.output_format}"


def output_name(job: Job) -> str:
    """What a job's files are called, without the ending: its title, where it has one."""
    title = str(job.request.get("title") or f"speech-{job.id}")
    return as_file_name(title) or str(job.id)


def as_file_name(name: str) -> str:
    """What of a name every file system takes, perhaps nothing."""
    return "".join(character for character in name if character not in '/\\:*?"<>|\r\n').strip()
