"""Write what webhooks are to be told, in the transaction of what they are told of.

So nothing is told that did not happen, and nothing that happened is forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from mynah.contracts.states import JobKind, JobState, SampleState
from mynah.contracts.webhooks import DeliveryState, WebhookEvent
from mynah.db.clock import utc_now
from mynah.db.ids import new_id
from mynah.db.models import Job, Voice, WebhookDelivery
from mynah.db.unit_of_work import UnitOfWork

LONGEST_TEXT = 500
_FIRST = UUID(int=0)  # before rows are locked that many transactions share

_BY_STATE = {
    (JobKind.SPEECH, JobState.COMPLETED): WebhookEvent.SPEECH_COMPLETED,
    (JobKind.SPEECH, JobState.FAILED): WebhookEvent.SPEECH_FAILED,
    (JobKind.SPEECH, JobState.CANCELLED): WebhookEvent.SPEECH_CANCELLED,
    (JobKind.BATCH, JobState.COMPLETED): WebhookEvent.BATCH_COMPLETED,
    (JobKind.CLONE, JobState.COMPLETED): WebhookEvent.VOICE_READY,
    (JobKind.CLONE, JobState.FAILED): WebhookEvent.VOICE_FAILED,
    (JobKind.CLONE, JobState.CANCELLED): WebhookEvent.VOICE_FAILED,
    (JobKind.ANALYSIS, JobState.COMPLETED): WebhookEvent.SAMPLE_ANALYZED,
    (JobKind.ANALYSIS, JobState.FAILED): WebhookEvent.SAMPLE_REJECTED,
    (JobKind.AUDIO, JobState.COMPLETED): WebhookEvent.AUDIO_COMPLETED,
    (JobKind.AUDIO, JobState.FAILED): WebhookEvent.AUDIO_FAILED,
}


def tell_job_ended(uow: UnitOfWork, job: Job) -> None:
    """Tell of a job that ends in this transaction, by what its row says just before the commit."""
    uow.before_commit(_FIRST, partial(_write, uow, job))


def write_deliveries(
    uow: UnitOfWork, webhook_ids: Sequence[UUID], event: str, data: dict[str, Any]
) -> list[WebhookDelivery]:
    """A delivery of one event to each of these webhooks, due at once. The caller commits."""
    body = message_body(event, data)
    deliveries = [
        WebhookDelivery(
            id=new_id(), webhook_id=one, event=event, body=body, state=DeliveryState.PENDING
        )
        for one in webhook_ids
    ]
    for delivery in deliveries:
        uow.deliveries.add(delivery)
    return deliveries


def message_body(event: str, data: dict[str, Any]) -> str:
    """A message as it is sent."""
    message = {
        "id": str(new_id()),
        "event": event,
        "created_at": utc_now().isoformat(),
        "data": data,
    }
    return json.dumps(message, ensure_ascii=False)


def _write(uow: UnitOfWork, job: Job) -> None:
    event = _BY_STATE.get((JobKind(job.kind), JobState(job.state)))
    if event is None:
        return
    webhook_ids = uow.webhooks.listening(job.user_id, event)
    if webhook_ids:
        write_deliveries(uow, webhook_ids, event, _facts(uow, job))


def _facts(uow: UnitOfWork, job: Job) -> dict[str, Any]:
    """What a receiver needs to know to ask for more; neither texts nor links nor secrets."""
    facts: dict[str, Any] = {
        "job_id": str(job.id),
        "status": job.state,
        "error_code": job.error_code,
        "error_message": (job.error_message or "")[:LONGEST_TEXT] or None,
        "created_at": _time(job.created_at),
        "started_at": _time(job.started_at),
        "ended_at": _time(job.ended_at),
    }
    if job.kind == JobKind.SPEECH:
        return {**facts, **_speech_facts(job)}
    if job.kind == JobKind.CLONE:
        return {**facts, **_voice_facts(uow.voices.by_id(job.voice_id) if job.voice_id else None)}
    if job.kind == JobKind.ANALYSIS:
        sample = uow.samples.by_id(job.sample_id) if job.sample_id else None
        verdict = sample.verdict if sample and sample.state == SampleState.ANALYZED else None
        return {
            **facts,
            "sample_id": str(job.sample_id) if job.sample_id else None,
            "is_usable": (verdict or {}).get("is_usable"),
        }
    if job.kind == JobKind.BATCH:
        return {**facts, "batch_id": str(job.id), "size_bytes": job.output_size_bytes}
    return facts


def _speech_facts(job: Job) -> dict[str, Any]:
    return {
        "batch_id": str(job.parent_id) if job.parent_id else None,
        "voice_id": str(job.voice_id) if job.voice_id else None,
        "title": str(job.request.get("title") or "")[:LONGEST_TEXT] or None,
        "characters": job.characters,
        "duration_s": job.actual_duration_s,
        "output_format": job.output_format,
        "size_bytes": job.output_size_bytes,
        "quality_score": job.quality_score,
    }


def _voice_facts(voice: Voice | None) -> dict[str, Any]:
    if voice is None:
        return {"voice_id": None, "name": None, "language": None}
    return {
        "voice_id": str(voice.id),
        "name": voice.name[:LONGEST_TEXT],
        "language": voice.language,
    }


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
