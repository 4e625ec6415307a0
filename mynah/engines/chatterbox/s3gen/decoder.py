"""From speech tokens to sound: the whole of S3Gen for one text, or for many at a time."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from mynah.audio.waveform import Waveform
from mynah.engines.base import Profile
from mynah.engines.chatterbox.s3gen.encoder import FlowEncoder
from mynah.engines.chatterbox.s3gen.estimator import Estimator
from mynah.engines.chatterbox.s3gen.flow import FlowSolver, FlowState, group_by_length
from mynah.engines.chatterbox.s3gen.layout import (
    MELS,
    SAMPLE_RATE,
    SAMPLES_PER_FRAME,
    SILENCE_TOKEN,
    VOCABULARY,
)
from mynah.engines.chatterbox.s3gen.noise import (
    EXCITATION,
    PHASE,
    PROMPT,
    SPEECH,
    normal_rows,
    uniform_row,
)
from mynah.engines.chatterbox.s3gen.prompt import Prompt, PromptCache, load_prompt
from mynah.engines.chatterbox.s3gen.vocoder import Excitation, Vocoder
from mynah.errors import EngineFailed

_MEANFLOW_END: Final = (SILENCE_TOKEN,) * 3  # what the library appends for Turbo
_SILENT_SAMPLES: Final = SAMPLE_RATE // 50  # at the start, and as many are faded in

Tokens = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class DecoderOptions:
    """How S3Gen runs.

    ``flow_dtype``, ``vocoder_dtype``: float32 is exact, bfloat16 faster. ``prompt_s``: how much
    of a voice's prompt goes through the flow, None for all. ``cached_voices``: prompts kept on
    the device.
    """

    flow_dtype: torch.dtype = torch.float32
    vocoder_dtype: torch.dtype = torch.float32
    prompt_s: float | None = None
    cached_voices: int = 64


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """``tokens`` (count,) integers, T3's marks among them allowed; ``seed`` explicit."""

    tokens: Tokens
    profile: Profile
    seed: int


class SpeechDecoder:
    """S3Gen's weights with our inference. No state of a request lives on it.

    ``s3gen``: the library's ``S3Token2Wav`` (``S3Gen``) with its weights, on its device; it is
    only read. Any thread may use it.
    """

    def __init__(self, s3gen: Any, options: DecoderOptions | None = None) -> None:
        options = options or DecoderOptions()
        self.is_meanflow = bool(s3gen.meanflow)
        self.encoder = FlowEncoder(s3gen.flow, options.flow_dtype)
        self.vocoder = Vocoder(s3gen.mel2wav, options.vocoder_dtype)
        estimator = Estimator(s3gen.flow.decoder.estimator, options.flow_dtype)
        self.solver = FlowSolver(estimator, is_meanflow=self.is_meanflow)
        self.device = estimator.device
        self._prompts = PromptCache(
            options.cached_voices,
            lambda profile: load_prompt(profile, self.encoder, self.device, options.prompt_s),
        )

    def prompt(self, profile: Profile) -> Prompt:
        """The profile's prompt on the device, kept. Raises InvalidRequest (``invalid_profile``)."""
        return self._prompts.get(profile)

    def decode(self, tokens: Tokens, profile: Profile, seed: int) -> Waveform:
        """Speech of ``tokens`` at SAMPLE_RATE, without watermark. Raises as ``decode_batch``."""
        return self.decode_batch([DecodeRequest(tokens, profile, seed)])[0]

    def decode_batch(self, requests: Sequence[DecodeRequest]) -> list[Waveform]:
        """Speech of all ``requests``, in their order; their flow steps are taken together.

        Raises InvalidRequest (``invalid_profile``), EngineFailed (nothing to speak).
        """
        states = [self._begin(request) for request in requests]
        for group in group_by_length(states):
            self.solver.solve(group)
        waves = self._render([state.speech for state in states], [r.seed for r in requests])
        return [Waveform(fade_in(wave).cpu().numpy(), SAMPLE_RATE) for wave in waves]

    def encode(self, prompt: Prompt, tokens: Tokens, *, is_final: bool) -> torch.Tensor:
        """The encoder's output for ``tokens`` behind the prompt's, (frames, MELS)."""
        spoken = torch.from_numpy(tokens.astype(np.int64)).to(self.device)
        return self.encoder.encode(torch.cat([prompt.tokens, spoken]), is_final=is_final)

    def begin(
        self, prompt: Prompt, encoded: torch.Tensor, seed: int, first_frame: int = 0
    ) -> FlowState:
        """A request before its first flow step.

        ``encoded`` (frames, MELS): the prompt's frames, then the speech's from ``first_frame`` on.
        """
        count = len(encoded) - prompt.frames
        noise = np.concatenate(
            [
                normal_rows(seed, PROMPT, 0, prompt.frames, MELS),
                normal_rows(seed, SPEECH, first_frame, count, MELS),
            ]
        )
        with torch.inference_mode():
            known = torch.zeros_like(encoded)
            known[: prompt.frames] = prompt.mel
            speaker = prompt.speaker.expand(len(encoded), -1)
            condition = torch.cat([encoded, speaker, known], dim=1)
            return FlowState(torch.from_numpy(noise).to(self.device), condition, prompt.frames)

    def excite(
        self, f0: torch.Tensor, seeds: Sequence[int], first_frame: int, cycles: torch.Tensor
    ) -> Excitation:
        """The excitation of ``f0`` (rows, frames) from ``first_frame`` on, a seed for each row;
        ``cycles`` (rows, harmonics): where the phase stands."""
        width, frames = self.vocoder.harmonics, int(f0.shape[1])
        noise = np.stack(
            [
                normal_rows(seed, EXCITATION, first_frame, frames, width * SAMPLES_PER_FRAME)
                .reshape(frames, width, SAMPLES_PER_FRAME)
                .transpose(1, 0, 2)
                .reshape(width, -1)
                for seed in seeds
            ]
        )
        phase = np.stack([uniform_row(seed, PHASE, width) * np.float32(math.pi) for seed in seeds])
        phase[:, 0] = 0.0
        return self.vocoder.excite(
            f0,
            torch.from_numpy(phase).to(self.device),
            torch.from_numpy(noise).to(self.device),
            cycles,
        )

    def no_cycles(self, rows: int) -> torch.Tensor:
        """The phase at the start of an utterance, (rows, harmonics)."""
        return torch.zeros((rows, self.vocoder.harmonics), device=self.device)

    def _begin(self, request: DecodeRequest) -> FlowState:
        tokens = speech_tokens(request.tokens)
        if not len(tokens):
            raise EngineFailed("The model gave no speech for this text.")
        tokens = np.concatenate([tokens, self.end_tokens])
        prompt = self.prompt(request.profile)
        return self.begin(prompt, self.encode(prompt, tokens, is_final=True), request.seed)

    def _render(self, mels: Sequence[torch.Tensor], seeds: Sequence[int]) -> list[torch.Tensor]:
        """Samples of whole utterances; those of one length go through the vocoder together."""
        places = defaultdict(list)
        for place, mel in enumerate(mels):
            places[len(mel)].append(place)
        waves: dict[int, torch.Tensor] = {}
        for group in places.values():
            stacked = torch.stack([mels[place] for place in group]).transpose(1, 2)
            f0 = self.vocoder.pitch(stacked)
            group_seeds = [seeds[place] for place in group]
            excitation = self.excite(f0, group_seeds, 0, self.no_cycles(len(group)))
            rendered = self.vocoder.render(stacked, excitation.samples)
            waves.update(zip(group, rendered, strict=True))
        return [waves[place] for place in range(len(mels))]

    @property
    def end_tokens(self) -> Tokens:
        """What is spoken after T3's last token: a little silence for mean-flow models."""
        return np.array(_MEANFLOW_END if self.is_meanflow else (), np.int64)


def speech_tokens(tokens: Tokens) -> Tokens:
    """``tokens`` without T3's marks. TypeError for anything but integers: a cast through a
    half-precision float changes ids."""
    if tokens.dtype.kind not in "iu":
        raise TypeError(f"speech tokens are integers, not {tokens.dtype}")
    return tokens[(tokens >= 0) & (tokens < VOCABULARY)]


def fade_in(samples: torch.Tensor) -> torch.Tensor:
    """Silences the first 20 ms of an utterance and fades in the next: what spills over from the
    prompt is there. Shape ``(samples,)``, as the library's ``trim_fade``."""
    with torch.inference_mode():
        rise = (torch.cos(torch.linspace(math.pi, 0, _SILENT_SAMPLES)) + 1) / 2
        gain = torch.cat([torch.zeros(_SILENT_SAMPLES), rise]).to(samples.device)
        faded = samples.clone()
        faded[: len(gain)] *= gain[: len(faded)]
        return faded
