"""audio.assemble: a job's segments become its output."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from mynah.audio.encode import CD_BYTES_PER_S
from mynah.audio.flac import decode_flac
from mynah.audio.formats import OutputSpec
from mynah.audio.job_quality import job_quality
from mynah.audio.tags import SpeechTags
from mynah.audio.waveform import Waveform
from mynah.contracts.object_keys import story
from mynah.contracts.speech import PieceReport, SpeechRequest
from mynah.db.clock import utc_now
from mynah.db.models import Job, Piece
from mynah.db.unit_of_work import UnitOfWork
from mynah.engines.catalog import engine_info
from mynah.errors import Gone, NotFound, Unavailable
from mynah.jobs.claims import Claim
from mynah.jobs.runner import Commit
from mynah.jobs.worker import WorkerContext
from mynah.observability.metrics import ENCODE_SECONDS, OUTPUT_BYTES, SAVED_BYTES
from services.audio_proc.assembly import AssembledSpeech, OutputSettings, assemble_speech

UNTITLED_CHARACTERS = 60
PATIENCE_S, LOOK_S = 1.5, 0.03  # with a piece that is being spoken
_SPAN_DIGITS = 4


def assemble_story(worker: WorkerContext, claim: Claim) -> Commit:
    """Join, level, encode, check and store the claimed job's speech.

    Raises UnsupportedFormat for an output that its format does not allow, Gone when a segment
    was removed.
    """
    request = SpeechRequest.model_validate(claim.job.request)
    with worker.new_uow() as uow:
        pieces = uow.pieces.of_job(claim.job.id)
        voice = uow.voices.by_id(request.voice_id)
    segments = _Segments(worker, claim, pieces)
    output = _output_settings(worker, request, voice.name if voice else "", pieces)
    with assemble_speech(segments, output) as speech:
        claim.ensure_held()
        audio = speech.audio
        key = story(claim.job.id, request.language, request.origin, audio.format)
        worker.store.put_file(key, audio.rewound(), audio.size_bytes, audio.content_type)
    _count(speech)
    with worker.new_uow() as uow:  # the last pieces were still being spoken at the start
        pieces = uow.pieces.of_job(claim.job.id)
    details = _details(speech, pieces, segments.pcm_bytes)
    reports = [PieceReport.model_validate(piece.report) for piece in pieces if piece.report]

    def commit(uow: UnitOfWork, job: Job) -> None:
        info = engine_info(request.engine)
        job.actual_duration_s = round(audio.duration_s, 3)
        job.actual_cost = info.cost_of(job.characters)
        pace = info.pace(request.voice_settings.speed)
        job.quality_score = job_quality(reports, speech.measures, len(request.text), pace)
        job.output_key = key
        job.output_format = audio.format
        job.output_size_bytes = audio.size_bytes
        job.expires_at = utc_now() + timedelta(hours=worker.settings.output_retention_h)
        job.result = details
        _record_usage(uow, job, details["saved_bytes"])

    return commit


def _output_settings(
    worker: WorkerContext, request: SpeechRequest, voice_name: str, pieces: Sequence[Piece]
) -> OutputSettings:
    loudness_lufs = request.loudness_lufs
    if loudness_lufs is None:
        loudness_lufs = worker.settings.loudness_lufs
    return OutputSettings(
        spec=OutputSpec.of_request(request),
        loudness_lufs=loudness_lufs,
        tags=story_tags(request, voice_name),
        headings={place: piece.chapter for place, piece in enumerate(pieces) if piece.chapter},
    )


def _record_usage(uow: UnitOfWork, job: Job, saved_bytes: int) -> None:
    uow.usage.record_output(
        job.user_id,
        str(job.usage_period),
        audio_s=job.actual_duration_s or 0.0,
        cost=job.actual_cost or 0.0,
        output_bytes=job.output_size_bytes or 0,
        saved_bytes=saved_bytes,
    )


class _Segments:
    """A job's spoken pieces in order, loaded as they are gone through."""

    def __init__(self, worker: WorkerContext, claim: Claim, pieces: Sequence[Piece]) -> None:
        self._worker = worker
        self._claim = claim
        self._pieces = pieces
        self.pcm_bytes = 0  # what the engines' own 16-bit PCM would take

    def __iter__(self) -> Iterator[tuple[Waveform, int]]:
        self.pcm_bytes = 0
        for piece in self._pieces:
            self._claim.ensure_held()
            segment = self._load(piece.segment_key or self._await_key(piece))
            self.pcm_bytes += 2 * segment.frames * segment.channels
            yield segment, piece.pause_after_ms

    def _await_key(self, piece: Piece) -> str:
        """The segment of a piece that is being spoken. Raises Unavailable when that takes long.

        The assembly begins a little before the last pieces are done. Rather than keep others from
        this worker it is put back then, for a later try.
        """
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            self._claim.ensure_held()
            with self._worker.new_uow() as uow:
                row = uow.pieces.of_step(piece.step_id)
            if row is not None and row.segment_key is not None:
                return row.segment_key
            time.sleep(LOOK_S)
        raise Unavailable("The last pieces are not spoken yet.", code="pieces_not_spoken")

    def _load(self, key: str) -> Waveform:
        try:
            return decode_flac(self._worker.store.get(key))
        except NotFound:
            raise Gone(
                "A spoken piece was removed before the story was joined; order it anew.",
                code="segment_missing",
            ) from None


def story_tags(request: SpeechRequest, voice_name: str) -> SpeechTags:
    """What a story's file says about itself."""
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


def _details(speech: AssembledSpeech, pieces: Sequence[Piece], pcm_bytes: int) -> dict[str, Any]:
    audio, measures = speech.audio, speech.measures
    return {
        "pieces": len(pieces),
        "synthesis_s": round(sum(piece.synthesis_s or 0.0 for piece in pieces), 4),
        "encode_s": round(audio.encode_s, 4),
        "assembly_s": round(speech.assembly_s, 4),
        "sample_rate": audio.layout.sample_rate,
        "channels": audio.layout.channels,
        "bitrate_kbps": audio.bitrate_kbps,
        "vbr_quality": audio.layout.vbr_quality,
        "loudness_lufs": measures.loudness_lufs,
        "peak_dbfs": measures.peak_dbfs,
        "true_peak_dbtp": speech.true_peak_dbtp,
        "clipping_share": measures.clipping_share,
        "silence_share": measures.silence_share,
        "saved_bytes": _saved_bytes(speech),
        "saved_share": round(audio.saved_share, 4),
        "pcm_bytes": pcm_bytes,
        "fallback_reason": audio.fallback_reason,
        "spans": [_rounded(asdict(span)) for span in speech.spans],
        "chapters": [
            {"start_s": round(chapter.start_s, _SPAN_DIGITS), "title": chapter.title}
            for chapter in speech.chapters
        ],
    }


def _rounded(times: dict[str, float]) -> dict[str, float]:
    return {name: round(time_s, _SPAN_DIGITS) for name, time_s in times.items()}
