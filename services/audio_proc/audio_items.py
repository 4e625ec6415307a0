"""audio.measure, audio.enhance, audio.convert: one file of an audio job each.

A file that cannot be used does not end the others' job: its item says why. Where it is the only
file, the job fails with that reason.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any, BinaryIO

from mynah.audio.encode import EncodedAudio
from mynah.contracts.audio import (
    AudioFile,
    AudioInput,
    AudioItem,
    AudioOperation,
    AudioRequest,
    EnhanceOptions,
    FileOptions,
)
from mynah.contracts.object_keys import audio_output
from mynah.db.clock import utc_now
from mynah.db.models import Job
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import InvalidAudio, MynahError, NotFound, WorkerLost
from mynah.jobs.claims import Claim
from mynah.jobs.runner import Commit
from mynah.jobs.worker import WorkerContext
from mynah.observability.metrics import ENCODE_SECONDS, OUTPUT_BYTES
from services.audio_proc.analysis import analyze_in_depth, analyze_recording
from services.audio_proc.conversion import convert_audio
from services.audio_proc.decoding import DecodedRecording, decode_recording
from services.audio_proc.enhancement import enhance
from services.audio_proc.peaks import draw_outline, outline_png, outline_svg, peaks_json
from services.audio_proc.sample_analysis import limits_of
from services.audio_proc.spectrogram import RANGE_DB, draw_spectrogram
from services.audio_proc.suitability import judge_for_training, judge_recording


def process_item(worker: WorkerContext, claim: Claim) -> Commit:
    """Do the job's operation with the claimed step's file."""
    request = AudioRequest.model_validate(claim.job.request)
    given = request.inputs[claim.step.ordinal]
    try:
        _refuse_killer(worker, claim)
        item = _Work(worker, claim, request).do(given)
    except MynahError as error:
        if error.retryable or len(request.inputs) == 1:
            raise
        item = AudioItem(error_code=error.code, error_message=error.message)

    def commit(uow: UnitOfWork, job: Job) -> None:  # noqa: ARG001
        result = job.result or {}
        items = {**result.get("items", {}), str(claim.step.ordinal): item.model_dump(mode="json")}
        job.result = {**result, "items": items}
        job.output_size_bytes = (job.output_size_bytes or 0) + sum(
            file.size_bytes for file in item.files
        )
        job.expires_at = utc_now() + timedelta(hours=worker.settings.output_retention_h)

    return commit


def _refuse_killer(worker: WorkerContext, claim: Claim) -> None:
    """Raise WorkerLost on a step's last attempt: beyond it the whole job would fail."""
    if claim.step.attempts >= max(2, worker.settings.max_attempts):
        raise WorkerLost


class _Work:
    """One file on its way: decoded, worked on, its results stored."""

    def __init__(self, worker: WorkerContext, claim: Claim, request: AudioRequest) -> None:
        self._worker = worker
        self._claim = claim
        self._request = request
        self._files: list[AudioFile] = []

    def do(self, given: AudioInput) -> AudioItem:
        """The operation's result and files. Raises what decoding and encoding raise."""
        operations: dict[AudioOperation, Callable[[DecodedRecording], dict[str, Any]]] = {
            AudioOperation.ANALYZE: self._analyze,
            AudioOperation.ENHANCE: self._enhance,
            AudioOperation.CONVERT: self._convert,
        }
        decoded = self._decode(given)
        result = operations[self._request.operation](decoded)
        return AudioItem(result={**_describe(decoded), **result}, files=tuple(self._files))

    def _decode(self, given: AudioInput) -> DecodedRecording:
        try:
            data = self._worker.store.get(given.object_key)
        except NotFound as error:
            raise NotFound("The recording was deleted.", code="sample_not_found") from error
        decoded = decode_recording(data, limits_of(self._worker.settings))
        self._claim.ensure_held()
        return decoded

    def _analyze(self, decoded: DecodedRecording) -> dict[str, Any]:
        options = self._request.analyze
        if options is None:
            raise InvalidAudio("The analysis has no options.")
        measured = analyze_in_depth(decoded.waveform, options.width if options.pictures else 1)
        self._claim.ensure_held()
        result = {
            **measured.recording.to_dict(),
            **measured.depth.to_dict(),
            "suitability": {
                "cloning": judge_recording(measured.recording).to_dict(),
                "training": judge_for_training(measured.recording, measured.depth).to_dict(),
            },
        }
        self._store("peaks.json", peaks_json(decoded.waveform, options.peaks_per_second))
        if options.pictures:
            outline = draw_outline(decoded.waveform.to_mono(), options.width)
            self._store("waveform.png", outline_png(outline, options.height))
            self._store("waveform.svg", outline_svg(outline, options.height))
        if options.pictures and measured.survey is not None:
            picture = draw_spectrogram(measured.survey, options.width, options.height)
            self._store("spectrogram.png", picture.png)
            result["spectrogram"] = {
                "lowest_hz": 0,
                "highest_hz": picture.highest_hz,
                "loudest_dbfs": picture.loudest_dbfs,
                "range_db": RANGE_DB,
            }
        return result

    def _enhance(self, decoded: DecodedRecording) -> dict[str, Any]:
        options, file = self._request.enhance or EnhanceOptions(), self._file_options()
        before = analyze_recording(decoded.waveform)
        enhanced = enhance(decoded.waveform, options)
        self._claim.ensure_held()
        after = analyze_recording(enhanced.waveform)
        audio = convert_audio(enhanced.waveform, file)
        self._store_audio("enhanced", audio)
        return {
            "before": before.to_dict(),
            "after": after.to_dict(),
            "clicks_repaired": enhanced.clicks_repaired,
            "is_noise_reduced": enhanced.is_noise_reduced,
            "output": _describe_output(audio),
        }

    def _convert(self, decoded: DecodedRecording) -> dict[str, Any]:
        audio = convert_audio(decoded.waveform, self._file_options())
        self._store_audio("converted", audio)
        return {"output": _describe_output(audio)}

    def _file_options(self) -> FileOptions:
        if self._request.file is None:
            raise InvalidAudio("The job names no output format.")
        return self._request.file

    def _store_audio(self, name: str, audio: EncodedAudio) -> None:
        ENCODE_SECONDS.labels(audio.format).observe(audio.encode_s)
        OUTPUT_BYTES.labels(audio.format).inc(audio.size_bytes)
        with audio:
            self._store_file(
                f"{name}.{audio.format}", audio.rewound(), audio.size_bytes, audio.content_type
            )

    def _store(self, name: str, data: bytes) -> None:
        kind = _CONTENT_TYPES[name.rpartition(".")[2]]
        self._store_file(name, io.BytesIO(data), len(data), kind)

    def _store_file(self, name: str, file: BinaryIO, size_bytes: int, content_type: str) -> None:
        self._claim.ensure_held()
        job = self._claim.job
        full_name = f"{self._claim.step.ordinal}.{name}"
        key = audio_output(job.user_id, job.id, self._claim.token, full_name)
        self._worker.store.put_file(key, file, size_bytes, content_type)
        self._files.append(
            AudioFile(
                name=full_name, object_key=key, content_type=content_type, size_bytes=size_bytes
            )
        )


_CONTENT_TYPES = {"png": "image/png", "svg": "image/svg+xml", "json": "application/json"}


def _describe(decoded: DecodedRecording) -> dict[str, Any]:
    return {
        "container": decoded.container,
        "codec": decoded.codec,
        "bit_rate": decoded.bit_rate,
        "damaged_share": decoded.damaged_share,
        "duration_s": round(decoded.waveform.duration_s, 3),
        "sample_rate": decoded.waveform.sample_rate,
        "channels": decoded.waveform.channels,
    }


def _describe_output(audio: EncodedAudio) -> dict[str, Any]:
    return {
        "format": audio.format,
        "duration_s": round(audio.duration_s, 3),
        "sample_rate": audio.layout.sample_rate,
        "channels": audio.layout.channels,
        "bitrate_kbps": audio.bitrate_kbps,
        "size_bytes": audio.size_bytes,
        "saved_share": round(audio.saved_share, 4),
        "fallback_reason": audio.fallback_reason,
    }
