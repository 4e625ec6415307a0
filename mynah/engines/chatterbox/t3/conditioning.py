"""The positions before the text that make T3 speak in a voice.

English and Multilingual: the speaker's embedding, 32 positions that a perceiver distils from the
reference's speech tokens, and the exaggeration. Turbo: the embedding and the tokens themselves.
Source: ``T3CondEnc`` and ``Perceiver`` of chatterbox-tts 0.1.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.nn import functional

from mynah.engines.chatterbox.t3.config import PERCEIVER_HEADS, SPEAKER_WIDTH, T3Config
from mynah.errors import InvalidRequest

_NAMES: Final = (
    "cond_enc.spkr_enc.weight",
    "cond_enc.spkr_enc.bias",
    "cond_enc.emotion_adv_fc.weight",
    "cond_enc.perceiver.pre_attention_query",
    *(
        f"cond_enc.perceiver.attn.{name}.{kind}"
        for name in ("norm", "to_q", "to_k", "to_v", "proj_out")
        for kind in ("weight", "bias")
    ),
)


@dataclass(frozen=True, slots=True)
class VoiceConditioning:
    """What T3 knows of a voice.

    ``key`` names the voice (its prefix is cached under it) · ``speaker`` (256,) float32 ·
    ``prompt`` (tokens,) int64, speech tokens of the reference.
    """

    key: str
    speaker: Any
    prompt: Any

    def check(self, config: T3Config) -> None:
        """Raises InvalidRequest (``damaged_profile``) where this cannot condition the model."""
        speaker, prompt = self.speaker, self.prompt
        if tuple(speaker.shape) != (SPEAKER_WIDTH,) or not bool(torch.isfinite(speaker).all()):
            raise _damaged(f"its speaker embedding must be {SPEAKER_WIDTH} finite numbers")
        if prompt.ndim != 1 or prompt.is_floating_point() or not len(prompt):
            raise _damaged("its speech tokens must be a row of whole numbers")
        if len(prompt) > config.prompt_tokens:
            raise _damaged(f"it has more than {config.prompt_tokens} speech tokens")
        if int(prompt.min()) < 0 or int(prompt.max()) >= config.start_speech:
            raise _damaged(f"its speech tokens must lie between 0 and {config.start_speech - 1}")


class ConditioningEncoder:
    """The small networks in front of the transformer. Always float32."""

    def __init__(self, config: T3Config, tensors: Mapping[str, Any], device: Any) -> None:
        self._config = config
        self._weights = {
            name: tensors[name].to(device, torch.float32) for name in _NAMES if name in tensors
        }

    def encode(self, voice: VoiceConditioning, prompt_embeddings: Any, exaggeration: float) -> Any:
        """The prefix, (1, positions, width). ``prompt_embeddings`` (1, tokens, width)."""
        weights = self._weights
        speaker = voice.speaker.to(prompt_embeddings.device, torch.float32)[None]
        first = functional.linear(
            speaker, weights["cond_enc.spkr_enc.weight"], weights["cond_enc.spkr_enc.bias"]
        )
        if self._config.is_gpt2:
            return torch.cat([first[None], prompt_embeddings], 1)
        distilled = self._perceive(prompt_embeddings)
        emotion = exaggeration * weights["cond_enc.emotion_adv_fc.weight"].view(1, 1, -1)
        return torch.cat([first[None], distilled, emotion], 1)

    def _perceive(self, embeddings: Any) -> Any:
        query = self._weights["cond_enc.perceiver.pre_attention_query"]
        distilled = self._perceiver_block(query, embeddings)
        return self._perceiver_block(distilled, distilled)

    def _perceiver_block(self, queried: Any, looked_at: Any) -> Any:
        width = (self._config.width,)
        norm = self._weight("norm")
        asking, answering = (functional.layer_norm(x, width, *norm) for x in (queried, looked_at))
        query, key, value = (
            functional.linear(x, *self._weight(name))
            .unflatten(-1, (PERCEIVER_HEADS, -1))
            .transpose(1, 2)
            for x, name in ((asking, "to_q"), (answering, "to_k"), (answering, "to_v"))
        )
        mixed = (
            functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        )
        return queried + functional.linear(mixed, *self._weight("proj_out"))

    def _weight(self, name: str) -> tuple[Any, Any]:
        prefix = f"cond_enc.perceiver.attn.{name}"
        return self._weights[f"{prefix}.weight"], self._weights[f"{prefix}.bias"]


def _damaged(what: str) -> InvalidRequest:
    return InvalidRequest(f"The voice's profile is damaged: {what}.", code="damaged_profile")
