"""audio.render: a finished job's output in another format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from mynah.audio.encode import EncodedAudio, encode_file
from mynah.audio.finished import check_output, iter_file_blocks
from mynah.audio.formats import OutputLayout, OutputSpec
from mynah.audio.levelling import SPEECH_CEILING_DBTP
from mynah.audio.read_ahead import read_ahead
from mynah.audio.spool import open_spool
from mynah.audio.tags import Chapter
from mynah.audio.waveform import Waveform
from mynah.contracts.object_keys import rendition
from mynah.contracts.speech import OutputFormat, RenditionRequest, SpeechRequest
from mynah.db.models import Job
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import Gone, NotFound
from mynah.jobs.claims import Claim
from mynah.jobs.runner import Commit
from mynah.jobs.worker import WorkerContext
from mynah.observability.metrics import ENCODE_SECONDS, OUTPUT_BYTES
from mynah.storage.base import ObjectStore
from mynah.storage.fetching import fetch_into
from services.audio_proc.story import story_tags

_READY_BLOCKS = 2


def render(worker: WorkerContext, claim: Claim) -> Commit:
    """Decode the finished output, encode it anew, check and store it.

    The segments that it was made of are swept soon after the job's end, so of a lossy output
    this is a second generation. Chapters and tags are kept. Raises Gone when the output was
    removed meanwhile.
    """
    wish = RenditionRequest.model_validate(claim.job.request)
    with worker.new_uow() as uow:
        speech = uow.jobs.by_id(wish.speech_job_id)
        request = SpeechRequest.model_validate(speech.request)
        voice = uow.voices.by_id(request.voice_id)
    with _fetch(worker.store, speech) as source:
        blocks = _Blocks(source, _layout_of(speech, request), claim)
        audio = encode_file(
            blocks,
            _spec_of(wish),
            story_tags(request, voice.name if voice else ""),
            chapters=lambda: _chapters_of(speech),
            headroom_db=-SPEECH_CEILING_DBTP,
        )
    key = rendition(speech.id, wish.rendition_id, request.language, request.origin, audio.format)
    peak_dbtp = _store(worker, claim, key, audio)

    def commit(uow: UnitOfWork, job: Job) -> None:
        current = uow.jobs.locked(wish.speech_job_id)
        if current is None or current.output_key is None:
            worker.store.delete(key)
            raise _gone()
        job.actual_duration_s = round(audio.duration_s, 3)
        job.output_key = key
        job.output_format = audio.format
        job.output_size_bytes = audio.size_bytes
        job.expires_at = current.expires_at
        job.result = _details(audio, peak_dbtp)

    return commit


def _store(worker: WorkerContext, claim: Claim, key: str, audio: EncodedAudio) -> float | None:
    """Check and store what was made; its true peak in dBTP."""
    with audio:
        peak_dbtp = check_output(audio.file, audio.layout, audio.duration_s)
        claim.ensure_held()
        worker.store.put_file(key, audio.rewound(), audio.size_bytes, audio.content_type)
    ENCODE_SECONDS.labels(audio.format).observe(audio.encode_s)
    OUTPUT_BYTES.labels(audio.format).inc(audio.size_bytes)
    return peak_dbtp


class _Blocks:
    """The source's audio, from its start each time it is gone through."""

    def __init__(self, source: BinaryIO, layout: OutputLayout, claim: Claim) -> None:
        self._source = source
        self._layout = layout
        self._claim = claim

    def __iter__(self) -> Iterator[Waveform]:
        return read_ahead(self._decoded(), _READY_BLOCKS)

    def _decoded(self) -> Iterator[Waveform]:
        for block in iter_file_blocks(self._source, self._layout):
            self._claim.ensure_held()
            yield block


def _fetch(store: ObjectStore, speech: Job) -> BinaryIO:
    """The job's output in a spool. Raises Gone."""
    if speech.output_key is None:
        raise _gone()
    spool = open_spool()
    try:
        fetch_into(store, speech.output_key, spool)
    except NotFound:
        spool.close()
        raise _gone() from None
    except BaseException:
        spool.close()
        raise
    return spool


def _chapters_of(speech: Job) -> list[Chapter]:
    facts = speech.result or {}
    return [Chapter(one["start_s"], one["title"]) for one in facts.get("chapters", ())]


def _gone() -> Gone:
    return Gone("The output was removed after its retention time.", code="output_expired")


def _layout_of(speech: Job, request: SpeechRequest) -> OutputLayout:
    facts = speech.result or {}
    made = OutputFormat(str(speech.output_format))
    return OutputLayout.of_output(request, made, facts["sample_rate"], facts["channels"])


def _spec_of(wish: RenditionRequest) -> OutputSpec:
    return OutputSpec(
        wish.output_format, wish.bitrate_kbps, wish.vbr_quality, wish.sample_rate, wish.channels
    )


def _details(audio: EncodedAudio, peak_dbtp: float | None) -> dict[str, Any]:
    return {
        "sample_rate": audio.layout.sample_rate,
        "channels": audio.layout.channels,
        "bitrate_kbps": audio.bitrate_kbps,
        "encode_s": round(audio.encode_s, 4),
        "true_peak_dbtp": peak_dbtp,
        "saved_share": round(audio.saved_share, 4),
        "fallback_reason": audio.fallback_reason,
    }
