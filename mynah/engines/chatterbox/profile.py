"""What Chatterbox derives from a voice's samples, and the library's own ``conds.pt``.

Each network runs once: both cuts of the reference that need speech tokens go through the
tokenizer side by side. Only the seconds that the networks look at are touched. Exaggeration is
not part of it: that is a setting of each request.
Source: ``prepare_conditionals`` of tts.py and tts_turbo.py, ``embed_ref`` of s3gen.py,
chatterbox-tts 0.1.7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from mynah.engines.chatterbox.s3gen.layout import (
    FRAMES_PER_TOKEN,
    MELS,
    SAMPLE_RATE,
    TOKEN_RATE,
    VOCABULARY,
)
from mynah.engines.chatterbox.s3gen.prompt import MEL, TOKENS, X_VECTOR, X_VECTOR_WIDTH
from mynah.engines.torch_file import load_torch_file
from mynah.errors import InvalidAudio, InvalidRequest

ENGINE: Final = "chatterbox"
VERSION: Final = "1"
SPEAKER, T3_TOKENS = "t3.speaker", "t3.prompt_tokens"
SPEAKER_WIDTH: Final = 256

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


@dataclass(frozen=True, slots=True)
class ProfileKind:
    """What one model asks of a reference. Its id and its engine's are stamped on its profiles;
    ``prompt_tokens``: how many T3 takes."""

    model: str
    prompt_tokens: int
    is_turbo: bool = False

    @property
    def engine(self) -> str:
        """The id of the model's row in the catalog."""
        return ENGINE if self.model == "english" else f"{ENGINE}-{self.model}"


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


def read_conditionals(data: bytes, language: str, kind: ProfileKind) -> Profile:
    """The profile in a ``conds.pt`` that the library saved; nothing in the file is run.

    Raises InvalidRequest (``invalid_profile``; ``unsafe_voice_file``, ``damaged_voice_file``).
    """
    content = load_torch_file(data)
    t3, gen = _part(content, "t3"), _part(content, "gen")
    arrays = {
        SPEAKER: _floats(t3, "speaker_emb", (SPEAKER_WIDTH,)),
        T3_TOKENS: _tokens(t3, "cond_prompt_speech_tokens"),
        TOKENS: _tokens(gen, "prompt_token"),
        MEL: _floats(gen, "prompt_feat", (-1, MELS)),
        X_VECTOR: _floats(gen, "embedding", (X_VECTOR_WIDTH,)),
    }
    count = min(len(arrays[TOKENS]), len(arrays[MEL]) // FRAMES_PER_TOKEN)
    arrays[TOKENS] = arrays[TOKENS][:count]
    arrays[MEL] = arrays[MEL][: count * FRAMES_PER_TOKEN]
    return Profile(kind.engine, VERSION, language, arrays, {"model": kind.model})


def check_profile(profile: Profile, kind: ProfileKind) -> None:
    """Raises InvalidRequest (``invalid_profile``) for another engine's, version's or model's."""
    stamp = (profile.engine, profile.version, profile.meta.get("model"))
    if stamp != (kind.engine, VERSION, kind.model):
        made_by = " ".join(str(part) for part in stamp)
        raise InvalidRequest(
            f"The profile was made by {made_by}, not by {kind.engine} {VERSION} {kind.model}.",
            code="invalid_profile",
        )


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


def _part(content: object, name: str) -> Mapping[str, Any]:
    part = content.get(name) if isinstance(content, Mapping) else None
    if not isinstance(part, Mapping):
        raise _invalid(f"it has no part {name!r}")
    return part


def _floats(part: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> Array:
    array = part.get(name)
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise _invalid(f"{name} is missing")
    width = shape[-1]
    if array.ndim == 0 or array.shape[-1] != width or (len(shape) == 1 and array.size != width):
        raise _invalid(f"{name} has the shape {array.shape}")
    if not np.isfinite(array).all():
        raise _invalid(f"{name} holds what is not a number")
    return array.reshape(shape).astype(np.float32)


def _tokens(part: Mapping[str, Any], name: str) -> Array:
    array = part.get(name)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iu" or not array.size:
        raise _invalid(f"{name} is missing")
    if array.min() < 0 or array.max() >= VOCABULARY:
        raise _invalid(f"{name} holds numbers that are no tokens")
    return array.reshape(-1).astype(np.int64)


def _invalid(why: str) -> InvalidRequest:
    return InvalidRequest(f"The conditionals cannot be read: {why}.", code="invalid_profile")
