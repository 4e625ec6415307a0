"""From a claimed piece to its stored segment."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mynah.audio.flac import encode_flac
from mynah.audio.waveform import Waveform
from mynah.contracts.object_keys import segment
from mynah.contracts.speech import SpeechRequest, VoiceSettings
from mynah.db.models import Job, Piece, Voice
from mynah.db.unit_of_work import UnitOfWork
from mynah.engines.base import Profile, SpeechEngine, SynthesisSettings
from mynah.engines.profile_file import load_profile
from mynah.errors import EngineFailed, NotFound
from mynah.jobs.claims import Claim
from mynah.jobs.runner import Commit
from mynah.jobs.worker import WorkerContext
from mynah.observability.metrics import AUDIO_SECONDS, SYNTHESIS_SECONDS
from services.worker_tts.engine_host import EngineHost
from services.worker_tts.profile_cache import ProfileCache


@dataclass(frozen=True, slots=True)
class Speaker:
    """What speaking needs in this process."""

    worker: WorkerContext
    engines: EngineHost
    profiles: ProfileCache


def speak_piece(speaker: Speaker, claim: Claim) -> Commit:
    """Speak the claimed piece and store its segment as FLAC."""
    if claim.piece is None:
        raise EngineFailed("The step has no piece.")
    request = SpeechRequest.model_validate(claim.job.request)
    engine = speaker.engines.engine(request.engine)
    profile = _profile_of(speaker, engine, claim.job, request.language)
    started = time.perf_counter()
    settings = synthesis_settings(request.voice_settings, request.seed + claim.piece.ordinal)
    waveform = collect(claim, engine.synthesize(claim.piece.text, profile, settings))
    synthesis_s = time.perf_counter() - started
    SYNTHESIS_SECONDS.labels(request.engine).observe(synthesis_s)
    AUDIO_SECONDS.labels(request.engine).inc(waveform.duration_s)
    key = segment(claim.job.id, claim.piece.ordinal, claim.token)
    speaker.worker.store.put(key, encode_flac(waveform), "audio/flac")

    def commit(uow: UnitOfWork, job: Job) -> None:  # noqa: ARG001
        piece = _piece(uow, claim)
        piece.segment_key = key
        piece.segment_duration_s = waveform.duration_s
        piece.synthesis_s = synthesis_s

    return commit


def collect(claim: Claim, blocks: Iterator[Waveform]) -> Waveform:
    """Join an engine's blocks; stops the engine when the claim is lost.

    Raises ClaimLost, EngineFailed when nothing was spoken.
    """
    collected: list[Waveform] = []
    for block in blocks:
        claim.ensure_held()
        collected.append(block)
    if not collected:
        raise EngineFailed("The engine spoke nothing for this text.", code="nothing_spoken")
    samples = np.concatenate([block.samples for block in collected])
    return Waveform(samples, collected[0].sample_rate)


def synthesis_settings(voice_settings: VoiceSettings, seed: int) -> SynthesisSettings:
    """A request's voice settings as an engine takes them."""
    return SynthesisSettings(
        rate=voice_settings.speed,
        pitch_semitones=voice_settings.pitch,
        stability=voice_settings.stability,
        similarity=voice_settings.similarity_boost,
        style=voice_settings.style,
        volume=voice_settings.volume,
        seed=seed,
    )


def _profile_of(speaker: Speaker, engine: SpeechEngine, job: Job, language: str) -> Profile:
    voice = _load_voice(speaker, job)
    if voice.engine_voice is not None:
        return engine.builtin_profile(voice.engine_voice, language)

    def load() -> Profile:
        key = str(voice.objects["engine_profile"])
        return load_profile(speaker.worker.store.get(key), engine.info.id)

    return speaker.profiles.get(voice.id, voice.profile_version, load)


def _load_voice(speaker: Speaker, job: Job) -> Voice:
    """The voice's row, read for every piece: a deleted voice must not speak from a cache."""
    with speaker.worker.new_uow() as uow:
        voice = uow.voices.by_id(job.voice_id) if job.voice_id is not None else None
        if cached := speaker.profiles.voice_ids():
            speaker.profiles.forget(set(cached) - uow.voices.existing_ids(cached))
    if voice is None:
        raise NotFound("The voice was deleted.", code="voice_not_found")
    return voice


def _piece(uow: UnitOfWork, claim: Claim) -> Piece:
    piece = uow.pieces.of_step(claim.step.id)
    if piece is None:
        raise EngineFailed("The piece is gone.")
    return piece
