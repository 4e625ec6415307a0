"""audio.assemble: a job's segments become its output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from mynah.audio.flac import decode_flac
from mynah.audio.quality import score_speech
from mynah.audio.tags import SpeechTags
from mynah.audio.waveform import Waveform
from mynah.contracts.object_keys import story
from mynah.contracts.speech import SpeechRequest
from mynah.db.clock import utc_now
from mynah.db.models import Job, Piece
from mynah.db.unit_of_work import UnitOfWork
from mynah.engines.catalog import engine_info
from mynah.jobs.claims import Claim
from mynah.jobs.runner import Commit
from mynah.jobs.worker import WorkerContext
from mynah.observability.metrics import ENCODE_SECONDS, OUTPUT_BYTES, SAVED_BYTES
from services.audio_proc.assembly import AssembledSpeech, OutputSettings, assemble_speech

CD_BYTES_PER_S = 44_100 * 2 * 2
UNTITLED_CHARACTERS = 60


def assemble_story(worker: WorkerContext, claim: Claim) -> Commit:
    """Join, level, encode, check and store the claimed job's speech."""
    request = SpeechRequest.model_validate(claim.job.request)
    with worker.new_uow() as uow:
        pieces = uow.pieces.of_job(claim.job.id)
        voice = uow.voices.by_id(request.voice_id)
    output = OutputSettings(
        format=request.output_format.value,
        bitrate_kbps=request.bitrate_kbps,
        loudness_lufs=worker.settings.loudness_lufs,
        tags=_tags(request, voice.name if voice else ""),
    )
    speech = assemble_speech(_segments(worker, claim, pieces), output)
    claim.ensure_held()
    key = story(claim.job.id, request.language, request.origin, speech.audio.format)
    worker.store.put(key, speech.audio.data, speech.audio.content_type)
    _count(speech)
    details = _details(speech, pieces)

    def commit(uow: UnitOfWork, job: Job) -> None:
        info = engine_info(request.engine)
        job.actual_duration_s = round(speech.audio.duration_s, 3)
        job.actual_cost = round(info.cost_per_1k_characters * job.characters / 1000, 6)
        pace = info.characters_per_second * request.voice_settings.speed
        job.quality_score = score_speech(speech.measures, len(request.text), pace)
        job.output_key = key
        job.output_format = speech.audio.format
        job.output_size_bytes = speech.audio.size_bytes
        job.expires_at = utc_now() + timedelta(hours=worker.settings.output_retention_h)
        job.result = details
        uow.usage.record_output(
            job.user_id,
            str(job.usage_period),
            audio_s=speech.audio.duration_s,
            cost=job.actual_cost,
            output_bytes=speech.audio.size_bytes,
            saved_bytes=details["saved_bytes"],
        )

    return commit


def _segments(
    worker: WorkerContext, claim: Claim, pieces: Sequence[Piece]
) -> Iterator[tuple[Waveform, int]]:
    for piece in pieces:
        claim.ensure_held()
        yield decode_flac(worker.store.get(str(piece.segment_key))), piece.pause_after_ms


def _tags(request: SpeechRequest, voice_name: str) -> SpeechTags:
    title = request.title or " ".join(request.text.split())[:UNTITLED_CHARACTERS]
    return SpeechTags(title=title, artist=voice_name, language=request.language)


def _count(speech: AssembledSpeech) -> None:
    audio = speech.audio
    ENCODE_SECONDS.labels(audio.format).observe(audio.encode_s)
    OUTPUT_BYTES.labels(audio.format).inc(audio.size_bytes)
    SAVED_BYTES.inc(_saved_bytes(speech))


def _saved_bytes(speech: AssembledSpeech) -> int:
    """Bytes less than CD-quality WAV of the same length; 0 when it is not less."""
    return max(0, int(speech.audio.duration_s * CD_BYTES_PER_S) - speech.audio.size_bytes)


def _details(speech: AssembledSpeech, pieces: Sequence[Piece]) -> dict[str, Any]:
    audio, measures = speech.audio, speech.measures
    return {
        "pieces": len(pieces),
        "synthesis_s": round(sum(piece.synthesis_s or 0.0 for piece in pieces), 4),
        "encode_s": round(audio.encode_s, 4),
        "assembly_s": round(speech.assembly_s, 4),
        "sample_rate": audio.sample_rate,
        "channels": audio.channels,
        "bitrate_kbps": audio.bitrate_kbps,
        "loudness_lufs": measures.loudness_lufs,
        "peak_dbfs": measures.peak_dbfs,
        "clipping_share": measures.clipping_share,
        "silence_share": measures.silence_share,
        "saved_bytes": _saved_bytes(speech),
        "saved_share": round(audio.saved_share, 4),
        "fallback_reason": audio.fallback_reason,
    }
