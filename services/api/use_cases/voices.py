"""Voices: clone, look, rename, delete; and the built-in ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from mynah.contracts import object_keys
from mynah.contracts.speech import CloneRequest
from mynah.contracts.states import JobKind, Lane, SampleState, Visibility, VoiceState
from mynah.contracts.tasks import (
    BUILD_PROFILE,
    PREPARE_VOICE,
    PUBLISH_VOICE,
    StepPayload,
    TaskContract,
)
from mynah.db.clock import utc_now
from mynah.db.ids import new_id
from mynah.db.models import Job, Sample, Voice
from mynah.db.unit_of_work import UnitOfWork
from mynah.engines.catalog import BUILTIN_VOICES, engine_info, load_engines, resolve_language
from mynah.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from mynah.jobs.public_voices import publish_voices
from mynah.jobs.submission import StepPlan, submit_job
from mynah.jobs.transitions import cancel_job, fail_job
from mynah.settings import Settings
from mynah.storage.base import ObjectStore
from services.api.use_cases.sample_texts import sample_text_for

# What a voice with reference audio still needs.
FROM_REFERENCE = (BUILD_PROFILE, PUBLISH_VOICE)


@dataclass(frozen=True, slots=True)
class Consent:
    """That the speaker agrees: the words, and whose they are."""

    statement: str
    given_by: str


@dataclass(frozen=True, slots=True)
class VoiceOrder:
    """A voice to be made."""

    name: str
    language: str
    consent: Consent
    description: str = ""
    kids: bool = False
    engine: str | None = None
    sample_text: str | None = None
    voice_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class VoiceOwner:
    """On whose behalf, and in which request."""

    user_id: UUID
    request_id: str


def clone_voice(
    uow: UnitOfWork,
    settings: Settings,
    owner: VoiceOwner,
    order: VoiceOrder,
    sample_ids: Sequence[UUID],
) -> Voice:
    """Make a voice from recordings: a row now, a job that does it. The caller commits.

    Samples that are not measured yet are taken: the job judges all of them itself. Raises
    NotFound (a sample), Conflict (an unusable sample, a voice id that is taken), InvalidRequest
    (language, engine, number of samples).
    """
    if not 1 <= len(set(sample_ids)) <= settings.max_samples_per_voice:
        raise InvalidRequest(f"A voice takes 1 to {settings.max_samples_per_voice} samples.")
    wanted = list(dict.fromkeys(sample_ids))
    _ensure_usable(uow.samples.many(owner.user_id, wanted), wanted)
    voice = new_voice(uow, settings, owner, order)
    uow.voices.add(voice, wanted)
    contracts = (PREPARE_VOICE, *FROM_REFERENCE)
    submit_clone_job(uow, owner, voice, contracts, order.sample_text)
    return voice


def new_voice(uow: UnitOfWork, settings: Settings, owner: VoiceOwner, order: VoiceOrder) -> Voice:
    """The row of a voice that is being made, not added yet."""
    engine = order.engine or settings.default_engine
    if engine not in load_engines():
        raise InvalidRequest(f"There is no engine {engine!r}.", code="engine_not_found")
    info = engine_info(engine)
    if not info.supports_cloning:
        raise InvalidRequest(f"{info.name} cannot clone.", code="cloning_unsupported")
    if order.voice_id is not None and uow.voices.by_id(order.voice_id) is not None:
        raise Conflict("This voice id is taken.", code="voice_id_taken")
    now = utc_now()
    return Voice(
        id=order.voice_id or new_id(),
        user_id=owner.user_id,
        name=order.name,
        description=order.description,
        language=resolve_language(info, order.language),
        kids=order.kids,
        engine=engine,
        state=VoiceState.CLONING,
        visibility=Visibility.PRIVATE,
        consent={
            "statement": order.consent.statement,
            "given_by": order.consent.given_by,
            "at": now.isoformat(),
            "recorded_by": str(owner.user_id),
        },
        objects={},
        facts={},
        profile_version=1,
        created_at=now,
        updated_at=now,
    )


def submit_clone_job(
    uow: UnitOfWork,
    owner: VoiceOwner,
    voice: Voice,
    contracts: Sequence[TaskContract[StepPayload]],
    sample_text: str | None = None,
) -> None:
    """Submit the job that makes ``voice``: the steps that it still needs, one after another."""
    request = CloneRequest(
        voice_id=voice.id,
        engine=voice.engine,
        sample_text=sample_text or sample_text_for(voice.language),
    )
    job = Job(
        id=new_id(),
        user_id=owner.user_id,
        kind=JobKind.CLONE,
        request=request.model_dump(mode="json"),
        request_id=owner.request_id,
        voice_id=voice.id,
        has_work_files=True,
    )
    plans = [
        StepPlan(contract, contract.queue_for(voice.engine, Lane.BATCH), stage)
        for stage, contract in enumerate(contracts)
    ]
    submit_job(uow, job, plans, window=1)
    voice.job_id = job.id


def visible_voice(uow: UnitOfWork, user_id: UUID, voice_id: UUID) -> Voice:
    """A voice that the user may speak as. Raises NotFound."""
    voice = uow.voices.visible(user_id, voice_id)
    if voice is None:
        raise NotFound("There is no such voice.", code="voice_not_found")
    return voice


def owned_voice(uow: UnitOfWork, user_id: UUID, voice_id: UUID) -> Voice:
    """A voice that the user may change. Raises NotFound; PermissionDenied for a public one."""
    voice = uow.voices.owned(user_id, voice_id)
    if voice is None:
        visible_voice(uow, user_id, voice_id)
        raise PermissionDenied("A public voice cannot be changed.", code="voice_is_public")
    return voice


def delete_voice(uow: UnitOfWork, store: ObjectStore, user_id: UUID, voice_id: UUID) -> None:
    """Remove a voice: its open jobs, every object it can have, its row. The caller commits.

    The row goes last: a deletion that fails in between can be repeated. Workers write objects
    while they hold the job's lock, so nothing appears behind this. They drop what they cached
    of the voice before they speak their next piece.
    """
    voice = owned_voice(uow, user_id, voice_id)
    deleted = NotFound("The voice was deleted.", code="voice_deleted")
    for job in uow.jobs.open_of_voice(voice_id):
        fail_job(uow, job, deleted)
    for key in voice_object_keys(voice):
        store.delete(key)
    if voice.job_id is not None:
        for key in list(store.list(object_keys.work_folder(voice.job_id))):
            store.delete(key)
    uow.voices.delete(voice)


def voice_object_keys(voice: Voice) -> set[str]:
    """Every key that a voice's objects can have, also those that its row does not name yet."""
    place = (voice.id, voice.language, voice.kids)
    return {
        object_keys.reference_audio(*place),
        object_keys.recorded(*place),
        object_keys.spoken_sample(*place),
        *(object_keys.engine_profile(*place, engine) for engine in load_engines()),
        *(str(key) for key in voice.objects.values()),
    }


def clone_job(uow: UnitOfWork, user_id: UUID, job_id: UUID) -> Job:
    """A user's clone job. Raises NotFound."""
    job = uow.jobs.get(user_id, job_id, JobKind.CLONE)
    if job is None:
        raise NotFound("There is no such job.", code="job_not_found")
    return job


def cancel_clone_job(uow: UnitOfWork, user_id: UUID, job_id: UUID) -> Job:
    """Cancel a clone job. Raises NotFound, Conflict when it has ended."""
    clone_job(uow, user_id, job_id)
    job = uow.jobs.locked(job_id)
    if job is None:
        raise NotFound("There is no such job.", code="job_not_found")
    cancel_job(uow, job)
    return job


def seed_builtin_voices(uow: UnitOfWork) -> int:
    """Write the engines' own voices as public voices; running it again updates them."""
    return publish_voices(uow, BUILTIN_VOICES)


def _ensure_usable(samples: Sequence[Sample], wanted: Sequence[UUID]) -> None:
    found = {sample.id: sample for sample in samples}
    for sample_id in wanted:
        sample = found.get(sample_id)
        if sample is None:
            raise NotFound(f"There is no sample {sample_id}.", code="sample_not_found")
        reasons = _reasons_against(sample, is_alone=len(wanted) == 1)
        if reasons:
            raise Conflict(
                f"The sample {sample.name!r} cannot be used: {' '.join(reasons)}",
                code="sample_not_usable",
            )


def _reasons_against(sample: Sample, *, is_alone: bool) -> list[str]:
    """Why a sample cannot be used. A short one can, beside others: their speech adds up."""
    if sample.state == SampleState.REJECTED:
        return [sample.error_message or "It was rejected."]
    return [
        str(reason["message"])
        for reason in (sample.verdict or {}).get("reasons", [])
        if reason["severity"] == "error" and (is_alone or reason["code"] != "too_short")
    ]
