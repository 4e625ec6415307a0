"""How far T3 in bf16 and int8 is from T3 in float32: the figures of ``docs/chatterbox-t3.md``.

    python -W ignore -m bench.chatterbox.formats [--model english] [--tokens 48] [--small]

Random weights of the real shapes, from several seeds; each with voices and texts of its own, of
several lengths. The speech that both read is what float32 says to them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, Final

import torch

from bench.chatterbox.checkpoints import SMALL_CONFIGS, random_t3
from bench.chatterbox.divergence import Divergence, compare_logits
from bench.report import print_machine, print_row, print_title
from mynah.engines.chatterbox.checkpoint import MODELS
from mynah.engines.chatterbox.quantization import Precision
from mynah.engines.chatterbox.sampling import ENGLISH_SAMPLING
from mynah.engines.chatterbox.t3.batch import DecodeBatch
from mynah.engines.chatterbox.t3.conditioning import VoiceConditioning
from mynah.engines.chatterbox.t3.config import T3Config
from mynah.engines.chatterbox.t3.model import T3Model

WEIGHT_SEEDS: Final = (0, 1)
TEXT_LENGTHS: Final = (5, 12, 40, 80, 160)
COARSE: Final = (Precision.BF16, Precision.INT8)


def measure(config: T3Config, tokens: int) -> dict[Precision, list[Divergence]]:
    """The divergence of each format, for each of the weights and texts."""
    found: dict[Precision, list[Divergence]] = {precision: [] for precision in COARSE}
    for seed in WEIGHT_SEEDS:
        tensors = random_t3(config, seed)
        exact = T3Model(config, tensors, Precision.FP32, "cpu")
        cases = [
            (voice, text, _speak(exact, voice, text, tokens)) for voice, text in _cases(config)
        ]
        for precision in COARSE:
            coarse = T3Model(config, tensors, precision, "cpu")
            found[precision] += [compare_logits(exact, coarse, *case) for case in cases]
    return found


def _cases(config: T3Config) -> Iterator[tuple[VoiceConditioning, Any]]:
    for seed, length in enumerate(TEXT_LENGTHS):
        generator = torch.Generator().manual_seed(100 + seed)
        prompt = torch.randint(0, config.start_speech, (config.prompt_tokens,), generator=generator)
        speaker = torch.randn(256, generator=generator)
        words = torch.randint(3, 250, (length,), generator=generator)
        ends = torch.tensor([config.start_text]), torch.tensor([config.stop_text])
        yield (
            VoiceConditioning(f"voice-{seed}", speaker, prompt),
            torch.cat([ends[0], words, ends[1]]),
        )


def _speak(model: T3Model, voice: VoiceConditioning, text: Any, tokens: int) -> list[int]:
    with torch.inference_mode():
        batch = DecodeBatch(model)
        batch.join(model.compute_prefix(voice, 0.5), text, ENGLISH_SAMPLING, tokens)
        for _ in range(tokens):
            batch.step()
        return [token for token in batch.collect()[0] if token < model.config.start_speech]


def _print(precision: Precision, found: list[Divergence]) -> None:
    kls, shares = [each.kl for each in found], [each.same_best for each in found]
    errors = [each.error for each in found]
    print_row(f"{precision}: mean KL, nats", f"{min(kls):.5f} – {max(kls):.5f}")
    print_row(f"{precision}: the same likeliest token", f"{min(shares):.0%} – {max(shares):.0%}")
    print_row(f"{precision}: error of the logits", f"{min(errors):.2%} – {max(errors):.2%}")


def main() -> None:
    """Measure one model and print the ranges."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="english", choices=sorted(SMALL_CONFIGS))
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--small", action="store_true", help="at test size")
    chosen = parser.parse_args()
    config = SMALL_CONFIGS[chosen.model] if chosen.small else MODELS[chosen.model].t3_config
    print_machine()
    cases = f"{len(WEIGHT_SEEDS)} sets of weights, texts of {TEXT_LENGTHS} tokens"
    print_title(f"{chosen.model}, {chosen.tokens} tokens of speech; {cases}")
    for precision, found in measure(config, chosen.tokens).items():
        _print(precision, found)


if __name__ == "__main__":
    main()
