"""How far a model in coarser numbers is from the same model in float32, teacher-forced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from mynah.engines.chatterbox.t3.conditioning import VoiceConditioning
from mynah.engines.chatterbox.t3.model import T3Model


@dataclass(frozen=True, slots=True)
class Divergence:
    """Over all positions of the speech: ``kl`` mean Kullback-Leibler divergence in nats,
    ``same_best`` share where the likeliest token is the same, ``error`` relative of the logits.
    """

    kl: float
    same_best: float
    error: float


def compare_logits(
    exact: T3Model, coarse: T3Model, voice: VoiceConditioning, text: Any, spoken: list[int]
) -> Divergence:
    """Both models read the same text and speech; the conditional row's logits are compared."""
    with torch.inference_mode():
        wanted, found = (
            teacher_forced_logits(model, voice, text, spoken) for model in (exact, coarse)
        )
        log_wanted, log_found = wanted.log_softmax(-1), found.log_softmax(-1)
        kl = (log_wanted.exp() * (log_wanted - log_found)).sum(-1).mean()
        same = (wanted.argmax(-1) == found.argmax(-1)).float().mean()
        error = (found - wanted).norm() / wanted.norm()
    return Divergence(float(kl), float(same), float(error))


def teacher_forced_logits(
    model: T3Model, voice: VoiceConditioning, text: Any, spoken: list[int]
) -> Any:
    """(speech tokens + 1, vocabulary): the logits after the start and after each token."""
    tokens = torch.tensor(spoken)
    speech = model.speech_embeddings(tokens, torch.arange(len(spoken)))[None]
    read = [
        model.prefix_embeddings(voice, 0.5),
        model.text_embeddings(text, guided=False).float(),
        speech.float(),
    ]
    return model.all_logits(torch.cat(read, 1))[0, -len(spoken) - 1 :]
