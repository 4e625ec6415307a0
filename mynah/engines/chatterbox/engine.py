"""ChatterboxEngine: the engine of the catalog's three Chatterbox rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
import torch

from mynah.audio.waveform import Waveform
from mynah.engines.base import EngineInfo, EngineLoad, Profile, SpeechBlock, SynthesisSettings
from mynah.engines.catalog import resolve_language
from mynah.engines.chatterbox.loading import LoadedModel, load_model
from mynah.engines.chatterbox.memory import device_bytes
from mynah.engines.chatterbox.output import release_speech
from mynah.engines.chatterbox.profile import prepare_profile
from mynah.engines.chatterbox.profile_layout import SPEAKER, T3_TOKENS, check_profile
from mynah.engines.chatterbox.rows import (
    CHATTERBOX,
    CHATTERBOX_MULTILINGUAL,
    CHATTERBOX_TURBO,
    MODEL_IDS,
)
from mynah.engines.chatterbox.s3gen.flow import FlowState
from mynah.engines.chatterbox.sampling import (
    ENGLISH_SAMPLING,
    MULTILINGUAL_SAMPLING,
    TURBO_SAMPLING,
    SamplingSettings,
)
from mynah.engines.chatterbox.scheduler import TokenRequest, TokenStream
from mynah.engines.chatterbox.streaming import StreamDecoder
from mynah.engines.chatterbox.t3.conditioning import VoiceConditioning
from mynah.engines.chatterbox.text import speakable_text
from mynah.engines.volume import bend_peaks
from mynah.errors import InvalidRequest
from mynah.settings import Settings, load_settings

_SAMPLING: Final = {
    "english": ENGLISH_SAMPLING,
    "multilingual": MULTILINGUAL_SAMPLING,
    "turbo": TURBO_SAMPLING,
}
_CALM_EXAGGERATION: Final = 0.5  # the library's default, at style 0
_TEMPERATURE_SPREAD: Final = 0.6  # between stability 0 and 1, around the library's default
_GUIDANCE_DROP: Final = 0.2  # at style 1: exaggerated speech hurries, less guidance slows it


class ChatterboxEngine:
    """One of Chatterbox's models. Any thread may use it; requests are decoded in one batch."""

    def __init__(self, info: EngineInfo, settings: Settings | None = None) -> None:
        """Load the model as ``settings`` (the process's own) say. Raises EngineUnavailable."""
        self._info = info
        self._model: LoadedModel = load_model(MODEL_IDS[info.id], settings or load_settings())

    @property
    def info(self) -> EngineInfo:
        """The engine's catalog row."""
        return self._info

    def prepare_profile(self, samples: Sequence[Waveform], language: str) -> Profile:
        """Derive a profile from the first 30 s of a person's recordings.

        Raises InvalidAudio (``too_little_speech``, ``empty_audio``, ``invalid_samples``),
        InvalidRequest (``unsupported_language``).
        """
        tag = resolve_language(self._info, language)
        return prepare_profile(samples, tag, self._model.networks, self._model.kind)

    def builtin_profile(self, name: str, language: str) -> Profile:
        """The voice beside the weights, where there is one. Raises NotFound, InvalidRequest."""
        return self._model.own_voice.profile(name, resolve_language(self._info, language))

    def synthesize(
        self, text: str, profile: Profile, settings: SynthesisSettings
    ) -> Iterator[SpeechBlock]:
        """Speak ``text`` (at most 300 characters) at 24 000 Hz, watermarked, as it is decoded.

        Nothing is decoded before the first block is asked for. Raises InvalidRequest
        (``invalid_profile``, ``nothing_to_speak``, ``unsupported_language``), TextTooLong at the
        call; InvalidRequest (``damaged_profile``), EngineFailed and EngineUnavailable
        (``engine_busy``) while iterating.
        """
        check_profile(profile, self._model.kind)
        language = resolve_language(self._info, profile.language)
        spoken = speakable_text(text, self._info.max_piece_characters)
        request = TokenRequest(
            voice=voice_conditioning(profile),
            text=torch.tensor(self._model.tokenizer.encode(spoken, language), dtype=torch.int64),
            sampling=sampling_settings(self._model.kind.model, settings),
            exaggeration=exaggeration(settings),
            live=settings.is_live,
        )
        decoding = StreamDecoder(
            self._model.decoder,
            profile,
            settings.seed,
            solve=partial(self._solve, is_live=settings.is_live),
        )
        return self._speak(request, decoding, settings.volume)

    def measure(self) -> EngineLoad:
        """What is decoded now, and the memory that the process holds on the device."""
        figures, device = self._model.t3.statistics(), self._model.decoder.device
        return EngineLoad(
            device=str(device),
            device_bytes=device_bytes(device),
            requests=figures.requests,
            tokens=figures.tokens,
            steps=figures.steps,
            queue_wait_s=figures.queue_wait_s,
            waiting=figures.waiting,
            running=figures.running,
            tokens_per_second=figures.tokens_per_second,
            batch_size=figures.batch_size,
        )

    def close(self) -> None:
        """End the engine's threads; who waits for speech gets EngineUnavailable."""
        self._model.close()

    def _speak(
        self, request: TokenRequest, decoding: StreamDecoder, volume: float
    ) -> Iterator[SpeechBlock]:
        stream = self._model.t3.submit(request)
        try:
            blocks = _iter_decoded(stream, decoding)
            for block in release_speech(blocks, self._model.watermarker):
                if block.frames:
                    yield SpeechBlock(_with_volume(block, volume))
        finally:
            stream.cancel()  # a no-op where it has ended; else its row is free at the next step

    def _solve(self, state: FlowState, *, is_live: bool) -> None:
        """Bring a chunk's flow to its end, together with those of the other requests."""
        self._model.flow.submit(state, is_live=is_live).result()


open_english = partial(ChatterboxEngine, CHATTERBOX)
open_multilingual = partial(ChatterboxEngine, CHATTERBOX_MULTILINGUAL)
open_turbo = partial(ChatterboxEngine, CHATTERBOX_TURBO)


def sampling_settings(model: str, settings: SynthesisSettings) -> SamplingSettings:
    """The neutral settings as T3's sampling takes them.

    ``stability`` 0.5 is the library's temperature of 0.8; 1 gives 0.5, 0 gives 1.1. ``style``
    takes guidance (cfg_weight) from 0.5 to 0.3; Turbo knows no guidance. Raises nothing.
    """
    default = _SAMPLING[model]
    temperature = default.temperature + _TEMPERATURE_SPREAD * (0.5 - settings.stability)
    guidance = default.guidance - _GUIDANCE_DROP * settings.style if default.guidance else 0.0
    return replace(default, temperature=temperature, guidance=guidance, seed=settings.seed)


def exaggeration(settings: SynthesisSettings) -> float:
    """``style`` 0 is the library's exaggeration of 0.5, 1 gives 1."""
    return _CALM_EXAGGERATION * (1 + settings.style)


def voice_conditioning(profile: Profile) -> VoiceConditioning:
    """A profile's part for T3; equal profiles have one key. Raises InvalidRequest."""
    arrays = [profile.arrays.get(name) for name in (SPEAKER, T3_TOKENS)]
    if not all(isinstance(array, np.ndarray) for array in arrays):
        raise InvalidRequest(
            f"The profile cannot be used: it lacks {SPEAKER} or {T3_TOKENS}.",
            code="invalid_profile",
        )
    speaker, prompt = (np.ascontiguousarray(array) for array in arrays)
    digest = hashlib.blake2b(digest_size=16)
    for array in (speaker, prompt):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.data)
    return VoiceConditioning(
        digest.hexdigest(), torch.from_numpy(speaker.copy()), torch.from_numpy(prompt.copy())
    )


def _iter_decoded(stream: TokenStream, decoding: StreamDecoder) -> Iterator[Waveform]:
    """The sound of the tokens as they come."""
    for tokens in stream:
        yield from decoding.add(np.array(tokens, np.int64))
    yield from decoding.finish()


def _with_volume(block: Waveform, volume: float) -> Waveform:
    if volume == 1.0:
        return Waveform(np.clip(block.samples, -1.0, 1.0), block.sample_rate)
    return Waveform(bend_peaks(block.samples * np.float32(volume)), block.sample_rate)
