"""Speech jobs: ask, look, cancel, fetch."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from mynah.contracts.object_keys import Origin
from mynah.contracts.speech import (
    TIER_BITRATE_KBPS,
    OutputFormat,
    QualityTier,
    SpeechRequest,
    VoiceSettings,
)
from mynah.contracts.states import JobKind, JobState, Lane, VoiceState
from mynah.contracts.tasks import ASSEMBLE, SYNTHESIZE
from mynah.db.clock import utc_now
from mynah.db.ids import new_id
from mynah.db.models import Job, Voice
from mynah.db.repositories.usage import period_of
from mynah.db.unit_of_work import UnitOfWork
from mynah.engines.base import EngineInfo
from mynah.engines.catalog import engine_info, resolve_language
from mynah.errors import Conflict, Gone, NotFound, QuotaExceeded, TextTooLong
from mynah.jobs.submission import PiecePlan, StepPlan, submit_job
from mynah.jobs.transitions import cancel_job
from mynah.settings import Settings
from mynah.text.cleaning import clean_text
from mynah.text.splitting import TextPiece, split_text

SEED_BITS = 31


@dataclass(frozen=True, slots=True)
class SpeechOrder:
    """What a caller asks to be spoken."""

    text: str
    voice_id: UUID
    language: str | None = None
    output_format: OutputFormat = OutputFormat.MP3
    quality: QualityTier = QualityTier.STANDARD
    bitrate_kbps: int | None = None
    voice_settings: VoiceSettings = field(default_factory=VoiceSettings)
    title: str | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a speech will take, before it is spoken."""

    duration_s: float
    cost: float


@dataclass(frozen=True, slots=True)
class Requester:
    """On whose behalf, from where, in which request, and how much they may have spoken."""

    user_id: UUID
    origin: Origin
    request_id: str
    monthly_character_quota: int | None = None  # None = the platform's


def order_speech(
    uow: UnitOfWork,
    settings: Settings,
    requester: Requester,
    order: SpeechOrder,
    lane: Lane = Lane.BATCH,
) -> Job:
    """Make a speech job. The caller commits.

    Raises NotFound (voice), Conflict (voice not ready), InvalidRequest, TextTooLong,
    QuotaExceeded.
    """
    limit = settings.max_sync_characters if lane is Lane.LIVE else settings.max_text_characters
    text = _checked_text(order.text, limit)
    voice = _speakable_voice(uow, requester.user_id, order.voice_id)
    info = engine_info(voice.engine)
    request = _build_request(order, text, voice, info, requester.origin)
    pieces = split_text(text, info.max_piece_characters)
    estimate = estimate_speech(info, pieces, order.voice_settings.speed)
    job = Job(
        id=new_id(),
        user_id=requester.user_id,
        kind=JobKind.SPEECH,
        request=request.model_dump(mode="json"),
        request_id=requester.request_id,
        voice_id=voice.id,
        characters=len(text),
        estimated_duration_s=estimate.duration_s,
        estimated_cost=estimate.cost,
        output_format=order.output_format,
        has_work_files=True,
    )
    submit_job(uow, job, _plan_steps(info, lane, pieces), settings.release_window)
    quota = quota_of(requester, settings)
    _reserve_quota(uow, job, quota)  # last: it locks the user's row until the commit
    return job


def estimate_speech(info: EngineInfo, pieces: list[TextPiece], speed: float) -> Estimate:
    """Length in seconds and cost in credits, from the engine's usual pace and price."""
    characters = sum(len(piece.text) for piece in pieces)
    pauses_s = sum(piece.pause_after_ms for piece in pieces) / 1000
    duration_s = characters / (info.characters_per_second * speed) + pauses_s
    return Estimate(round(duration_s, 2), cost_of(info, characters))


def cost_of(info: EngineInfo, characters: int) -> float:
    """The price of speaking so many characters, in credits."""
    return round(info.cost_per_1k_characters * characters / 1000, 6)


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


def _checked_text(text: str, limit: int) -> str:
    if len(text) > limit:
        raise TextTooLong(f"The text has {len(text)} characters; {limit} are allowed.")
    return clean_text(text)


def _speakable_voice(uow: UnitOfWork, user_id: UUID, voice_id: UUID) -> Voice:
    voice = uow.voices.visible(user_id, voice_id)
    if voice is None:
        raise NotFound("There is no such voice.", code="voice_not_found")
    if voice.state != VoiceState.READY:
        raise Conflict(f"The voice is {voice.state}, not ready.", code="voice_not_ready")
    return voice


def _build_request(
    order: SpeechOrder, text: str, voice: Voice, info: EngineInfo, origin: Origin
) -> SpeechRequest:
    language = resolve_language(info, order.language) if order.language else voice.language
    return SpeechRequest(
        text=text,
        voice_id=voice.id,
        language=language,
        engine=voice.engine,
        output_format=order.output_format,
        bitrate_kbps=order.bitrate_kbps or TIER_BITRATE_KBPS[order.quality],
        voice_settings=order.voice_settings,
        title=order.title,
        seed=secrets.randbits(SEED_BITS) if order.seed is None else order.seed,
        origin=origin,
    )


def _reserve_quota(uow: UnitOfWork, job: Job, quota: int) -> None:
    now = utc_now()
    job.usage_period = period_of(now)
    if not uow.usage.reserve(job.user_id, job.usage_period, job.characters, quota):
        raise QuotaExceeded(
            f"The quota of {quota} characters per month does not allow {job.characters} more.",
            retry_after_s=seconds_to_next_month(now),
        )


def _plan_steps(info: EngineInfo, lane: Lane, pieces: list[TextPiece]) -> list[StepPlan]:
    queue = SYNTHESIZE.queue_for(info.id, lane)
    plans = [
        StepPlan(SYNTHESIZE, queue, 0, PiecePlan(piece.text, piece.pause_after_ms))
        for piece in pieces
    ]
    return [*plans, StepPlan(ASSEMBLE, ASSEMBLE.queue_for(), 1)]


def output_filename(job: Job) -> str:
    """The name under which a browser saves a job's output."""
    title = str(job.request.get("title") or f"speech-{job.id}")
    safe = "".join(character for character in title if character not in '/\\:*?"<>|\r\n')
    return f"{safe.strip() or job.id}.{job.output_format}"
