"""What Chatterbox derives from a voice's samples.

Each network runs once: both cuts of the reference that need speech tokens go through the
tokenizer side by side. Only the seconds that the networks look at are touched. Exaggeration is
not part of it: that is a setting of each request.
Source: ``prepare_conditionals`` of tts.py and tts_turbo.py, ``embed_ref`` of s3gen.py,
chatterbox-tts 0.1.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from chatterbox.models.s3gen.utils.mel import mel_spectrogram
from torchaudio.functional import resample as resample_by_sinc

from mynah.audio.loudness import apply_gain, measure_loudness
from mynah.audio.resample import resample
from mynah.audio.waveform import Samples, Waveform
from mynah.engines.base import Profile
from mynah.engines.chatterbox.profile_layout import (
    MEL,
    SPEAKER,
    T3_TOKENS,
    TOKENS,
    VERSION,
    X_VECTOR,
    ProfileKind,
)
from mynah.engines.chatterbox.s3gen.layout import FRAMES_PER_TOKEN, SAMPLE_RATE, TOKEN_RATE
from mynah.errors import InvalidAudio

_TOKENIZER_RATE: Final = 16_000
_MELS_PER_TOKEN: Final = 4
_PROMPT_S: Final = 10  # what S3Gen takes
_MAX_REFERENCE_S: Final = 30  # the voice encoder averages over this; the library over everything
_MIN_REFERENCE_S: Final = 1.0
_TURBO_MIN_REFERENCE_S: Final = 5.0
_TURBO_LOUDNESS_LUFS: Final = -27.0
_QUIETEST_PEAK: Final = 10 ** (-60 / 20)

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class ProfileNetworks:
    """The library's modules with their weights: ``S3Gen``'s tokenizer and speaker encoder
    (CAMPPlus), and the ``VoiceEncoder``. Only read."""

    tokenizer: Any
    speaker_encoder: Any
    voice_encoder: Any


def prepare_profile(
    samples: Sequence[Waveform], language: str, networks: ProfileNetworks, kind: ProfileKind
) -> Profile:
    """The profile of a voice's samples, joined in order. Deterministic.

    Raises InvalidAudio (``empty_audio``, ``invalid_samples``, ``too_little_speech``).
    """
    reference = _reference(samples, kind)
    at_16k = resample(reference, _TOKENIZER_RATE).samples
    prompt = reference.samples[: _PROMPT_S * SAMPLE_RATE]
    # Whole tokens only, so that tokens and mel frames agree to the frame.
    prompt = prompt[: len(prompt) - len(prompt) % (SAMPLE_RATE // TOKEN_RATE)]
    with torch.inference_mode():
        wave = torch.from_numpy(prompt)[None].to(networks.tokenizer.device)
        wave_16k = resample_by_sinc(wave, SAMPLE_RATE, _TOKENIZER_RATE)
        needed = kind.prompt_tokens * _TOKENIZER_RATE // TOKEN_RATE
        t3_cut = torch.from_numpy(at_16k[:needed])[None].to(wave.device)
        t3_tokens, tokens = _tokenize(networks.tokenizer, [t3_cut, wave_16k], kind.prompt_tokens)
        mel = mel_spectrogram(wave)[0].T
        x_vector = networks.speaker_encoder.inference(wave_16k)[0]
    speaker = networks.voice_encoder.embeds_from_wavs([at_16k], sample_rate=_TOKENIZER_RATE)[0]
    count = min(len(tokens), len(mel) // FRAMES_PER_TOKEN)
    arrays = {
        SPEAKER: np.asarray(speaker, np.float32),
        T3_TOKENS: t3_tokens,
        TOKENS: tokens[:count],
        MEL: mel[: count * FRAMES_PER_TOKEN].cpu().numpy(),
        X_VECTOR: x_vector.cpu().numpy(),
    }
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise InvalidAudio(
            "The recording holds too little speech for a profile.", code="too_little_speech"
        )
    return Profile(kind.engine, VERSION, language, arrays, {"model": kind.model})


def _reference(samples: Sequence[Waveform], kind: ProfileKind) -> Waveform:
    """The first seconds of the samples, mono at SAMPLE_RATE, checked."""
    parts: list[Samples] = []
    missing = _MAX_REFERENCE_S * SAMPLE_RATE
    for sample in samples:
        if missing <= 0:
            break
        if not np.isfinite(sample.samples).all():
            raise InvalidAudio(
                "The recording holds samples that are not numbers.", code="invalid_samples"
            )
        needed = -(-missing * sample.sample_rate // SAMPLE_RATE)
        cut = Waveform(sample.samples[..., :needed], sample.sample_rate).to_mono()
        parts.append(resample(cut, SAMPLE_RATE).samples[:missing])
        missing -= len(parts[-1])
    reference = Waveform(np.concatenate([np.zeros(0, np.float32), *parts]), SAMPLE_RATE)
    _check_reference(reference, _TURBO_MIN_REFERENCE_S if kind.is_turbo else _MIN_REFERENCE_S)
    if kind.is_turbo and (loudness := measure_loudness(reference)) is not None:
        reference = apply_gain(reference, _TURBO_LOUDNESS_LUFS - loudness)
    return reference


def _check_reference(reference: Waveform, minimum_s: float) -> None:
    if reference.frames == 0:
        raise InvalidAudio("The recording is empty.", code="empty_audio")
    if reference.duration_s < minimum_s:
        raise InvalidAudio(
            f"The recording is {reference.duration_s:.1f} s long; {minimum_s:g} s are needed.",
            code="too_little_speech",
        )
    if np.abs(reference.samples).max() < _QUIETEST_PEAK:
        raise InvalidAudio("The recording is silent.", code="too_little_speech")


def _tokenize(tokenizer: Any, waves: Sequence[Any], first_max: int) -> list[Array]:
    """Speech tokens of 16 kHz waves (1, samples), in one run; at most ``first_max`` of the
    first."""
    mels = [tokenizer.log_mel_spectrogram(wave)[0] for wave in waves]
    mels[0] = mels[0][:, : first_max * _MELS_PER_TOKEN]
    lengths = torch.tensor([mel.shape[1] for mel in mels])
    batch = torch.zeros((len(mels), mels[0].shape[0], int(lengths.max())), device=mels[0].device)
    for row, mel in zip(batch, mels, strict=True):
        row[:, : mel.shape[1]] = mel
    codes, counts = tokenizer.quantize(batch, lengths.to(batch.device))
    return [
        row[:count].cpu().numpy().astype(np.int64)
        for row, count in zip(codes, counts.tolist(), strict=True)
    ]
