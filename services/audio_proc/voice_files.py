"""The audio files of a voice: reference audio, recorded MP3, spoken sample.

A step's objects are stored inside the transaction that finishes it: the job's locked row puts
them in order with a deletion of the voice, so that nothing is written after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from mynah.audio.encode import EncodedAudio, encode_file
from mynah.audio.flac import decode_flac
from mynah.audio.formats import OutputSpec
from mynah.audio.npy import dump_npy, load_npy
from mynah.audio.tags import SpeechTags
from mynah.audio.waveform import Waveform
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
from services.audio_proc.assembly import OutputSettings, assemble_speech
from services.audio_proc.reference_audio import Recording, ReferenceAudio, ReferenceBuilder
from services.audio_proc.sample_analysis import decode_sample

NPY_TYPE = "application/octet-stream"


def prepare_voice(worker: WorkerContext, claim: Claim) -> Commit:
    """Make the voice's reference audio (``.npy``) and its 160 kbit/s recording.

    The reference is the usable samples at their own quality: mono, at the highest of their
    rates up to 48 kHz, the best first, silence trimmed, 180 s at most. Nothing lossy comes
    before it. Raises InvalidAudio when the samples do not make a voice.
    """
    request = CloneRequest.model_validate(claim.job.request)
    voice, samples = _load(worker, request.voice_id)
    reference = _build_reference(worker, claim, samples)
    npy = dump_npy(reference.waveform.samples)
    recorded = _encode_recording(voice, reference.waveform)
    place = (voice.id, voice.language, voice.kids)
    reference_key, recorded_key = object_keys.reference_audio(*place), object_keys.recorded(*place)
    facts = {
        "reference_sample_rate": reference.waveform.sample_rate,
        "reference_duration_s": round(reference.waveform.duration_s, 3),
        "reference_size_bytes": len(npy),
        "measurements": reference.measurements.to_dict(),
        "recordings": list(reference.recordings),
        **_recording_facts(recorded),
    }

    def commit(uow: UnitOfWork, job: Job) -> None:  # noqa: ARG001
        row = _voice(uow, request.voice_id)
        worker.store.put(reference_key, npy, NPY_TYPE)
        worker.store.put(recorded_key, recorded.data, recorded.content_type)
        row.objects = {**row.objects, "reference_audio": reference_key, "recorded": recorded_key}
        row.facts = {**row.facts, **facts}

    return commit


def publish_voice(worker: WorkerContext, claim: Claim) -> Commit:
    """Encode the voice's spoken sample as 96 kbit/s MP3 and make the voice ready.

    An imported voice with reference audio gets its recording here.
    """
    request = CloneRequest.model_validate(claim.job.request)
    with worker.new_uow() as uow:
        voice = _voice(uow, request.voice_id)
    sample = _encode_sample(worker, claim, voice)
    files = {"spoken_sample": sample}
    facts: dict[str, object] = {
        "sample_duration_s": round(sample.duration_s, 3),
        "sample_size_bytes": sample.size_bytes,
    }
    if "reference_audio" in voice.objects and "recorded" not in voice.objects:
        files["recorded"] = _encode_recording(voice, _load_reference(worker, voice))
        facts |= _recording_facts(files["recorded"])
    place = (voice.id, voice.language, voice.kids)
    keys = {
        "spoken_sample": object_keys.spoken_sample(*place),
        "recorded": object_keys.recorded(*place),
    }

    def commit(uow: UnitOfWork, job: Job) -> None:  # noqa: ARG001
        row = _voice(uow, request.voice_id)
        for role, file in files.items():
            worker.store.put(keys[role], file.data, file.content_type)
        row.objects = {**row.objects, **{role: keys[role] for role in files}}
        row.facts = {**row.facts, **facts}
        row.state = VoiceState.READY

    return commit


def _build_reference(
    worker: WorkerContext, claim: Claim, samples: Sequence[Sample]
) -> ReferenceAudio:
    builder = ReferenceBuilder()
    for sample in samples:
        claim.ensure_held()
        try:
            waveform = decode_sample(worker, sample).waveform
        except InvalidAudio as error:
            builder.refuse(sample.name, error)
        else:
            builder.add(Recording(sample.id, sample.name, waveform))
    return builder.build()


def _encode_recording(voice: Voice, reference: Waveform) -> EncodedAudio:
    tags = SpeechTags(title=f"{voice.name} (recording)", artist=voice.name, language=voice.language)
    spec = OutputSpec(bitrate_kbps=RECORDED_BITRATE_KBPS)
    return encode_file([reference], spec, tags).in_memory()


def _recording_facts(recorded: EncodedAudio) -> dict[str, object]:
    return {
        "recorded_size_bytes": recorded.size_bytes,
        "recorded_bitrate_kbps": recorded.bitrate_kbps,
    }


def _encode_sample(worker: WorkerContext, claim: Claim, voice: Voice) -> EncodedAudio:
    segment_key = str((claim.job.result or {})["sample_segment_key"])
    segment = decode_flac(worker.store.get(segment_key))
    tags = SpeechTags(title=f"{voice.name} (sample)", artist=voice.name, language=voice.language)
    output = OutputSettings(
        spec=OutputSpec(bitrate_kbps=SPOKEN_SAMPLE_BITRATE_KBPS),
        loudness_lufs=worker.settings.loudness_lufs,
        tags=tags,
    )
    return assemble_speech([(segment, 0)], output).audio.in_memory()


def _load_reference(worker: WorkerContext, voice: Voice) -> Waveform:
    samples = load_npy(worker.store.get(str(voice.objects["reference_audio"])))
    return Waveform(samples, int(voice.facts["reference_sample_rate"]))


def _load(worker: WorkerContext, voice_id: UUID) -> tuple[Voice, Sequence[Sample]]:
    with worker.new_uow() as uow:
        return _voice(uow, voice_id), uow.voices.samples_of(voice_id)


def _voice(uow: UnitOfWork, voice_id: UUID) -> Voice:
    voice = uow.voices.by_id(voice_id)
    if voice is None:
        raise NotFound("The voice was deleted.", code="voice_not_found")
    return voice
