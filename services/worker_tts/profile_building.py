"""From a voice's reference audio to the engine's profile and a spoken sample."""

from __future__ import annotations

import io

import numpy as np

from mynah.audio.flac import encode_flac
from mynah.audio.waveform import Waveform
from mynah.contracts import object_keys
from mynah.contracts.speech import CloneRequest, VoiceSettings
from mynah.db.models import Job, Voice
from mynah.db.unit_of_work import UnitOfWork
from mynah.engines.profile_file import dump_profile
from mynah.errors import NotFound
from mynah.jobs.claims import Claim
from mynah.jobs.runner import Commit
from services.worker_tts.synthesis import Speaker, collect, synthesis_settings

SAMPLE_ORDINAL = 0


def build_profile(speaker: Speaker, claim: Claim) -> Commit:
    """Derive and store the engine's profile, then speak the voice's sample text with it."""
    request = CloneRequest.model_validate(claim.job.request)
    store = speaker.worker.store
    voice = _voice(speaker, request)
    engine = speaker.engines.engine(request.engine)
    reference = _load_reference(store.get(str(voice.objects["reference_audio"])), voice)
    profile = engine.prepare_profile([reference], voice.language)
    claim.ensure_held()
    settings = synthesis_settings(VoiceSettings(similarity_boost=1.0), seed=0)
    sample = collect(claim, engine.synthesize(request.sample_text, profile, settings))
    profile_key = object_keys.engine_profile(voice.id, voice.language, voice.kids, request.engine)
    sample_key = object_keys.segment(claim.job.id, SAMPLE_ORDINAL, claim.token)
    store.put(profile_key, dump_profile(profile), "application/octet-stream")
    store.put(sample_key, encode_flac(sample), "audio/flac")

    def commit(uow: UnitOfWork, job: Job) -> None:
        row = uow.voices.by_id(request.voice_id)
        if row is None:
            raise NotFound("The voice was deleted.", code="voice_not_found")
        row.objects = {**row.objects, "engine_profile": profile_key}
        row.profile_version += 1
        job.result = {**(job.result or {}), "sample_segment_key": sample_key}

    return commit


def _voice(speaker: Speaker, request: CloneRequest) -> Voice:
    with speaker.worker.new_uow() as uow:
        voice = uow.voices.by_id(request.voice_id)
    if voice is None:
        raise NotFound("The voice was deleted.", code="voice_not_found")
    return voice


def _load_reference(data: bytes, voice: Voice) -> Waveform:
    samples = np.load(io.BytesIO(data), allow_pickle=False)
    return Waveform(samples, int(voice.facts["reference_sample_rate"]))
