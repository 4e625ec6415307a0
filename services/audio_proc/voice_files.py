"""The audio files of a voice: reference audio, recorded MP3, spoken sample."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from mynah.audio.encode import encode_file
from mynah.audio.flac import decode_flac
from mynah.audio.joining import trim_silence
from mynah.audio.resample import resample
from mynah.audio.tags import SpeechTags
from mynah.audio.waveform import Samples, Waveform
from mynah.contracts import object_keys
from mynah.contracts.speech import (
    RECORDED_BITRATE_KBPS,
    SPOKEN_SAMPLE_BITRATE_KBPS,
    CloneRequest,
)
from mynah.contracts.states import VoiceState
from mynah.db.models import Job, Sample, Voice
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import InvalidAudio, NotFound
from mynah.jobs.claims import Claim
from mynah.jobs.runner import Commit
from mynah.jobs.worker import WorkerContext
from services.audio_proc.analysis import analyze_recording, judge_recording
from services.audio_proc.assembly import OutputSettings, assemble_speech
from services.audio_proc.sample_analysis import decode_sample

MAX_REFERENCE_S = 180.0
MAX_REFERENCE_RATE = 48_000
GAP_S = 0.2


@dataclass(frozen=True, slots=True)
class _UsableSample:
    waveform: Waveform  # mono
    score: float


def prepare_voice(worker: WorkerContext, claim: Claim) -> Commit:
    """Make the voice's reference audio (``.npy``) and its 160 kbit/s recording.

    The reference is the usable samples at their own quality: mono, at the highest of their
    rates up to 48 kHz, the best first, silence trimmed, 180 s at most. Nothing lossy comes
    before it. Raises InvalidAudio when no sample can be used.
    """
    request = CloneRequest.model_validate(claim.job.request)
    voice, samples = _load(worker, request.voice_id)
    usable = _usable_samples(worker, claim, samples)
    reference = _join(usable)
    place = (voice.id, voice.language, voice.kids)
    reference_key = object_keys.reference_audio(*place)
    recorded_key = object_keys.recorded(*place)
    tags = SpeechTags(title=f"{voice.name} (recording)", artist=voice.name, language=voice.language)
    recorded = encode_file([reference], "mp3", RECORDED_BITRATE_KBPS, tags)
    claim.ensure_held()
    worker.store.put(reference_key, dump_reference(reference.samples), "application/octet-stream")
    worker.store.put(recorded_key, recorded.data, recorded.content_type)
    facts = {
        "reference_sample_rate": reference.sample_rate,
        "reference_duration_s": round(reference.duration_s, 3),
        "sample_count": len(usable),
        "recorded_size_bytes": recorded.size_bytes,
        "recorded_bitrate_kbps": recorded.bitrate_kbps,
    }

    def commit(uow: UnitOfWork, job: Job) -> None:  # noqa: ARG001
        row = _voice(uow, request.voice_id)
        row.objects = {**row.objects, "reference_audio": reference_key, "recorded": recorded_key}
        row.facts = {**row.facts, **facts}

    return commit


def publish_voice(worker: WorkerContext, claim: Claim) -> Commit:
    """Encode the voice's spoken sample as 96 kbit/s MP3 and make the voice ready."""
    request = CloneRequest.model_validate(claim.job.request)
    with worker.new_uow() as uow:
        voice = _voice(uow, request.voice_id)
    segment_key = str((claim.job.result or {})["sample_segment_key"])
    segment = decode_flac(worker.store.get(segment_key))
    tags = SpeechTags(title=f"{voice.name} (sample)", artist=voice.name, language=voice.language)
    output = OutputSettings(
        bitrate_kbps=SPOKEN_SAMPLE_BITRATE_KBPS,
        loudness_lufs=worker.settings.loudness_lufs,
        tags=tags,
    )
    sample = assemble_speech([(segment, 0)], output).audio
    key = object_keys.spoken_sample(voice.id, voice.language, voice.kids)
    claim.ensure_held()
    worker.store.put(key, sample.data, sample.content_type)

    def commit(uow: UnitOfWork, job: Job) -> None:  # noqa: ARG001
        row = _voice(uow, request.voice_id)
        row.objects = {**row.objects, "spoken_sample": key}
        row.facts = {
            **row.facts,
            "sample_duration_s": round(sample.duration_s, 3),
            "sample_size_bytes": sample.size_bytes,
        }
        row.state = VoiceState.READY

    return commit


def dump_reference(samples: Samples) -> bytes:
    """Mono float32 samples, shape ``(frames,)``, as the bytes of an ``.npy`` file."""
    buffer = io.BytesIO()
    np.save(buffer, samples, allow_pickle=False)
    return buffer.getvalue()


def _load(worker: WorkerContext, voice_id: UUID) -> tuple[Voice, Sequence[Sample]]:
    with worker.new_uow() as uow:
        return _voice(uow, voice_id), uow.voices.samples_of(voice_id)


def _voice(uow: UnitOfWork, voice_id: UUID) -> Voice:
    voice = uow.voices.by_id(voice_id)
    if voice is None:
        raise NotFound("The voice was deleted.", code="voice_not_found")
    return voice


def _usable_samples(
    worker: WorkerContext, claim: Claim, samples: Sequence[Sample]
) -> list[_UsableSample]:
    """The samples worth using, best first. Raises InvalidAudio with all reasons when none is."""
    usable: list[_UsableSample] = []
    reasons: list[str] = []
    for sample in samples:
        claim.ensure_held()
        try:
            waveform = decode_sample(worker, sample).waveform
        except InvalidAudio as error:
            reasons.append(f"{sample.name}: {error.message}")
            continue
        verdict = judge_recording(analyze_recording(waveform))
        if verdict.is_usable:
            usable.append(_UsableSample(waveform.to_mono(), verdict.score))
        else:
            words = " ".join(reason.message for reason in verdict.reasons)
            reasons.append(f"{sample.name}: {words}")
    if not usable:
        raise InvalidAudio(" ".join(["No sample can be used.", *reasons]), code="no_usable_sample")
    return sorted(usable, key=lambda one: -one.score)


def _join(usable: Sequence[_UsableSample]) -> Waveform:
    rate = min(max(one.waveform.sample_rate for one in usable), MAX_REFERENCE_RATE)
    room = int(MAX_REFERENCE_S * rate)
    gap = np.zeros(int(GAP_S * rate), np.float32)
    parts: list[Samples] = []
    for one in usable:
        samples = trim_silence(resample(one.waveform, rate)).samples[:room]
        parts.extend((samples, gap))
        room -= samples.size + gap.size
        if room <= 0:
            break
    return Waveform(np.concatenate(parts[:-1]), rate)
