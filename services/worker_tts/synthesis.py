"""From a claimed piece to its stored segment, with its words' times and how it was judged."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

from mynah.audio.flac import encode_flac
from mynah.contracts.object_keys import segment
from mynah.contracts.speech import PieceSpeech, SpeechRequest, VoiceSettings
from mynah.contracts.states import Lane
from mynah.contracts.tasks import SYNTHESIZE
from mynah.db.models import Job, Piece, Voice
from mynah.db.unit_of_work import UnitOfWork
from mynah.engines.base import Profile, SpeechEngine, SynthesisSettings
from mynah.engines.catalog import resolve_language
from mynah.engines.profile_file import load_profile
from mynah.errors import EngineFailed, NotFound
from mynah.jobs.claims import Claim
from mynah.jobs.runner import Commit
from mynah.jobs.worker import WorkerContext
from mynah.messaging.live import LiveWriter
from mynah.observability.metrics import AUDIO_SECONDS, SYNTHESIS_SECONDS
from mynah.recognition.base import Recognizer
from services.worker_tts.live_speech import open_live_piece
from services.worker_tts.making_way import LiveFirst
from services.worker_tts.profile_cache import ProfileCache
from services.worker_tts.source_words import map_words
from services.worker_tts.takes import Reading, TakeChecks, speak_well

_FRESH_S = 0.5
_RATES, _PITCHES, _VOLUMES = (0.5, 2.0), (-12.0, 12.0), (0.0, 2.0)  # of SynthesisSettings


class Engines(Protocol):
    """Where engines are had from."""

    def using(self, engine_id: str) -> AbstractContextManager[SpeechEngine]:
        """The engine by id, for as long as the block runs. Raises EngineUnavailable, NotFound,
        HandedBack."""
        ...


@dataclass(frozen=True, slots=True)
class Speaker:
    """What speaking needs in this process.

    Without ``live`` nobody hears it at once, without ``live_first`` nothing makes way.
    """

    worker: WorkerContext
    engines: Engines
    profiles: ProfileCache
    recognizer: Recognizer | None = None
    live: LiveWriter | None = None
    live_first: LiveFirst | None = None


def speak_piece(speaker: Speaker, claim: Claim) -> Commit:
    """Speak the claimed piece and store its segment as FLAC."""
    piece = claim.piece
    if piece is None:
        raise EngineFailed("The step has no piece.")
    request = SpeechRequest.model_validate(claim.job.request)
    speech = piece_speech(piece, request)
    is_live = claim.step.queue == SYNTHESIZE.queue_for(speech.engine, Lane.LIVE)
    settings = replace(piece_settings(request, speech, piece.ordinal), is_live=is_live)
    between = None if speaker.live_first is None else speaker.live_first.make_way
    checks = TakeChecks(speaker.worker.settings.speech_attempts, speaker.recognizer, between)
    live = open_live_piece(speaker.live, claim)
    hear = None if live is None else live.tell
    with speaker.engines.using(speech.engine) as engine:
        profile = _profile_of(speaker, engine, claim, speech)
        spoken = speak_well(claim, engine, Reading(piece.text, profile, settings), checks, hear)
    waveform = spoken.take.waveform
    SYNTHESIS_SECONDS.labels(speech.engine).observe(spoken.synthesis_s)
    AUDIO_SECONDS.labels(speech.engine).inc(waveform.duration_s)
    words = map_words(piece, speech.words, request.text, spoken.take)
    if live is not None:
        live.end(words)
    key = segment(claim.job.id, piece.ordinal, claim.token)
    speaker.worker.store.put(key, encode_flac(waveform), "audio/flac")
    _forget_deleted(speaker)

    def commit(uow: UnitOfWork, job: Job) -> None:  # noqa: ARG001
        uow.pieces.store_segment(
            piece.step_id,
            segment_key=key,
            segment_duration_s=waveform.duration_s,
            synthesis_s=spoken.synthesis_s,
            words=[word.model_dump() for word in words],
            report=spoken.report.model_dump(mode="json"),
        )

    return commit


def piece_speech(piece: Piece, request: SpeechRequest) -> PieceSpeech:
    """How a piece is spoken: its own way, or the job's."""
    if piece.speech is not None:
        return PieceSpeech.model_validate(piece.speech)
    return PieceSpeech(voice_id=request.voice_id, engine=request.engine, language=request.language)


def piece_settings(request: SpeechRequest, speech: PieceSpeech, ordinal: int) -> SynthesisSettings:
    """The job's settings with the piece's factors, kept within what engines take."""
    whole = synthesis_settings(request.voice_settings, request.seed + ordinal)
    return replace(
        whole,
        rate=_within(whole.rate * speech.rate, _RATES),
        pitch_semitones=_within(whole.pitch_semitones + speech.pitch_semitones, _PITCHES),
        volume=_within(whole.volume * speech.volume, _VOLUMES),
        phonemes=speech.phonemes,
    )


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


def _within(value: float, limits: tuple[float, float]) -> float:
    return min(max(value, limits[0]), limits[1])


def _profile_of(
    speaker: Speaker, engine: SpeechEngine, claim: Claim, speech: PieceSpeech
) -> Profile:
    """The voice's profile, set to the language that is to be read."""
    voice = _voice_of(speaker, claim, speech)
    if voice.engine_voice is not None:
        return engine.builtin_profile(voice.engine_voice, speech.language)

    def load() -> Profile:
        key = str(voice.objects["engine_profile"])
        return load_profile(speaker.worker.store.get(key), engine.info.id)

    profile = speaker.profiles.get(voice.id, voice.profile_version, load)
    return replace(profile, language=resolve_language(engine.info, speech.language))


def _voice_of(speaker: Speaker, claim: Claim, speech: PieceSpeech) -> Voice:
    """The voice's row, read for every piece: a deleted voice must not speak from a cache, nor
    one that the job's user may no longer speak as. It came with the claim; who waited for an
    engine since then reads it again. Raises NotFound."""
    if claim.voice is not None and time.monotonic() - claim.claimed_at < _FRESH_S:
        return claim.voice
    with speaker.worker.new_uow() as uow:
        voice = uow.each_by_itself().voices.visible(claim.job.user_id, speech.voice_id)
    if voice is None:
        _forget_deleted(speaker)
        raise NotFound("The voice was deleted, or is not the user's.", code="voice_not_found")
    return voice


def _forget_deleted(speaker: Speaker) -> None:
    """Drop the profiles of voices that are no more; after the sound, which does not wait for it."""
    if cached := speaker.profiles.voice_ids():
        with speaker.worker.new_uow() as uow:
            existing = uow.each_by_itself().voices.existing_ids(cached)
        speaker.profiles.forget(set(cached) - existing)
