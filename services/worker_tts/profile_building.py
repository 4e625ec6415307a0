"""From a voice's reference audio to the engine's profile and a spoken sample."""

from __future__ import annotations

from mynah.audio.flac import encode_flac
from mynah.audio.npy import load_npy
from mynah.audio.waveform import Waveform
from mynah.contracts import object_keys
from mynah.contracts.speech import CloneRequest, VoiceSettings
from mynah.db.models import Job, Voice
from mynah.db.unit_of_work import UnitOfWork
from mynah.engines.base import Profile, SpeechEngine
from mynah.engines.profile_file import dump_profile, load_profile
from mynah.errors import InvalidRequest, NotFound
from mynah.jobs.claims import Claim
from mynah.jobs.runner import Commit
from services.worker_tts.synthesis import Speaker, synthesis_settings
from services.worker_tts.takes import collect

SAMPLE_ORDINAL = 0


def build_profile(speaker: Speaker, claim: Claim) -> Commit:
    """Derive and store the engine's profile, then speak the voice's sample text with it.

    A voice that was imported with its profile keeps that one. The profile is stored inside the
    transaction that finishes the step: after a deletion of the voice nothing is written.
    """
    request = CloneRequest.model_validate(claim.job.request)
    store = speaker.worker.store
    voice = _voice(speaker, request)
    given_key = voice.objects.get("engine_profile")
    with speaker.engines.using(request.engine) as engine:
        profile = (
            _prepare_profile(speaker, engine, voice)
            if given_key is None
            else load_profile(store.get(str(given_key)), engine.info.id)
        )
        claim.ensure_held()
        sample = _speak_sample(claim, engine, profile, request.sample_text, given_key is not None)
    profile_key = object_keys.engine_profile(voice.id, voice.language, voice.kids, request.engine)
    sample_key = object_keys.segment(claim.job.id, SAMPLE_ORDINAL, claim.token)
    store.put(sample_key, encode_flac(sample), "audio/flac")

    def commit(uow: UnitOfWork, job: Job) -> None:
        row = uow.voices.by_id(request.voice_id)
        if row is None:
            raise NotFound("The voice was deleted.", code="voice_not_found")
        if given_key is None:
            data = dump_profile(profile)
            store.put(profile_key, data, "application/octet-stream")
            row.objects = {**row.objects, "engine_profile": profile_key}
            row.facts = {**row.facts, "profile_size_bytes": len(data)}
            row.profile_version += 1
        job.result = {**(job.result or {}), "sample_segment_key": sample_key}

    return commit


def _prepare_profile(speaker: Speaker, engine: SpeechEngine, voice: Voice) -> Profile:
    samples = load_npy(speaker.worker.store.get(str(voice.objects["reference_audio"])))
    reference = Waveform(samples, int(voice.facts["reference_sample_rate"]))
    return engine.prepare_profile([reference], voice.language)


def _speak_sample(
    claim: Claim, engine: SpeechEngine, profile: Profile, text: str, is_given: bool
) -> Waveform:
    """The voice's sample. Raises InvalidRequest when a given profile does not fit the engine."""
    settings = synthesis_settings(VoiceSettings(similarity_boost=1.0), seed=0)
    try:
        return collect(claim, engine.synthesize(text, profile, settings)).waveform
    except (KeyError, ValueError, IndexError, TypeError) as error:
        if not is_given:
            raise
        raise InvalidRequest(
            "The profile does not fit the engine.", code="invalid_profile"
        ) from error


def _voice(speaker: Speaker, request: CloneRequest) -> Voice:
    with speaker.worker.new_uow() as uow:
        voice = uow.voices.by_id(request.voice_id)
    if voice is None:
        raise NotFound("The voice was deleted.", code="voice_not_found")
    return voice
