"""Checkpoints of random weights in the files, names, shapes and types of the real ones.

Two folders, as on the hub: ``chatterbox`` (English and Multilingual) and ``chatterbox-turbo``.
At full size for benchmarks, or small for tests; the library loads both (``upstream.py``).
Everything follows from a seed. Run as a program to write a folder::

    python -m bench.chatterbox.checkpoints FOLDER [--small] [--models english,turbo]
"""

from __future__ import annotations

import argparse
import json
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models

from bench.chatterbox.upstream import build_s3gen
from mynah.engines.chatterbox.checkpoint import MODELS, ModelFiles
from mynah.engines.chatterbox.t3.config import ENGLISH, TURBO, T3Config, tensor_shapes

SMALL_ENGLISH: Final = replace(
    ENGLISH, layers=3, width=128, heads=2, ff_width=192, prompt_tokens=24
)
SMALL_MULTILINGUAL: Final = replace(SMALL_ENGLISH, text_vocabulary=2454)
SMALL_TURBO: Final = replace(
    TURBO, layers=3, width=128, heads=2, ff_width=192, prompt_tokens=24, text_vocabulary=400
)
SMALL_CONFIGS: Final = {
    "english": SMALL_ENGLISH,
    "multilingual": SMALL_MULTILINGUAL,
    "turbo": SMALL_TURBO,
}
LANGUAGES: Final = [
    "ar",
    "da",
    "de",
    "el",
    "en",
    "es",
    "fi",
    "fr",
    "he",
    "hi",
    "it",
    "ja",
    "ko",
    "ms",
    "nl",
    "no",
    "pl",
    "pt",
    "ru",
    "sv",
    "sw",
    "tr",
    "zh",
]
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'\"-()"


@dataclass(frozen=True, slots=True)
class WrittenModel:
    """Where a model was written and the shapes of its T3."""

    files: ModelFiles
    folder: Path
    config: T3Config


def write_checkpoint(
    root: Path, model: str, *, small: bool = False, parts: str = "t3,s3gen,ve", seed: int = 0
) -> WrittenModel:
    """Write ``english``, ``multilingual`` or ``turbo`` into its folder below ``root``.

    ``parts``: which networks; the tokenizer's files are always written.
    """
    files = MODELS[model]
    folder = root / files.repository.rpartition("/")[2]
    folder.mkdir(parents=True, exist_ok=True)
    config = SMALL_CONFIGS[model] if small else files.t3_config
    if "t3" in parts.split(","):
        save_file(random_t3(config, seed), folder / files.t3)
    if "ve" in parts.split(","):
        _write_twice(voice_encoder_weights(seed), folder, files.voice_encoder)
    if "s3gen" in parts.split(","):
        weights = s3gen_weights(seed, meanflow=config.is_gpt2, small=small)
        _write_twice(weights, folder, files.s3gen)
    _write_tokenizer(folder, model, config)
    return WrittenModel(files, folder, config)


def random_t3(config: T3Config, seed: int) -> dict[str, torch.Tensor]:
    """Weights by which activations stay near one and the logits spread enough to sample from."""
    return {
        name: _random_tensor(name, shape, seed) for name, shape in tensor_shapes(config).items()
    }


def _random_tensor(name: str, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
    values = torch.randn(shape, generator=generator)
    if name.endswith("norm.weight") or ("ln_" in name and name.endswith("weight")):
        return 1 + 0.1 * values
    if name.endswith("bias"):
        return 0.05 * values
    if "emb." in name or "wpe" in name or "wte" in name or "query" in name:
        return 0.5 * values
    # GPT-2 keeps its matrices transposed: inputs come first there.
    inputs = shape[0] if ".h." in name else shape[-1]
    spread = 4.0 if name == "speech_head.weight" else 1.0
    return values * (spread * inputs**-0.5)


def voice_encoder_weights(seed: int) -> dict[str, torch.Tensor]:
    """The library's voice encoder, freshly initialised."""
    from chatterbox.models.voice_encoder import VoiceEncoder  # noqa: PLC0415  it is slow to import

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _plain(VoiceEncoder())


def s3gen_weights(seed: int, *, meanflow: bool, small: bool) -> dict[str, torch.Tensor]:
    """The library's S3Gen, freshly initialised."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _plain(build_s3gen(meanflow=meanflow, small=small))


def _plain(module: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def _write_twice(weights: dict[str, torch.Tensor], folder: Path, name: str) -> None:
    """As safetensors and, for the library's multilingual loader, as the ``.pt`` that it reads."""
    save_file(weights, folder / name)
    if folder.name == "chatterbox":
        torch.save(weights, (folder / name).with_suffix(".pt"))


def _write_tokenizer(folder: Path, model: str, config: T3Config) -> None:
    if model == "turbo":
        _write_gpt2_tokenizer(folder, config.text_vocabulary)
    elif model == "multilingual":
        languages = [f"[{language}]" for language in LANGUAGES]
        cangjie = [f"[cj_{letter}]" for letter in "abcdefghijklmnopqrstuvwxyz."]
        name = "grapheme_mtl_merged_expanded_v1.json"
        _letter_tokenizer(config, [*languages, *cangjie]).save(str(folder / name))
        (folder / "Cangjie5_TC.json").write_text(json.dumps(["人\to", "日\ta", "月\tb"]))
    else:
        _letter_tokenizer(config, []).save(str(folder / "tokenizer.json"))


def _letter_tokenizer(config: T3Config, more: list[str]) -> Any:
    """One token per letter; ``[STOP]`` and ``[START]`` where T3 expects them."""
    special = ["[UNK]", "[SPACE]", "[PAD]", "[SEP]", "[CLS]", "[MASK]", *more]
    vocabulary = {"[STOP]": config.stop_text, "[START]": config.start_text}
    free = iter(sorted(set(range(config.text_vocabulary)) - set(vocabulary.values())))
    for token in (*special, *_LETTERS):
        vocabulary[token] = next(free)
    vocabulary.update({f"[unused_{i}]": i for i in free if i < config.start_text})
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="[UNK]"))
    tokenizer.add_special_tokens(["[STOP]", "[START]", *special])
    return tokenizer


def _write_gpt2_tokenizer(folder: Path, size: int) -> None:
    """GPT-2's byte alphabet and, up to ``size``, tokens that no text contains."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode  # noqa: PLC0415

    tokens = [*bytes_to_unicode().values()]
    tokens += [f"<|unused_{i}|>" for i in range(size - len(tokens) - 1)] + ["<|endoftext|>"]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    end = "<|endoftext|>"
    described = {"tokenizer_class": "GPT2Tokenizer", "model_max_length": 1024}
    described.update(bos_token=end, eos_token=end, unk_token=end)
    (folder / "tokenizer_config.json").write_text(json.dumps(described))


def main() -> None:
    """Write a folder of checkpoints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--parts", default="t3,s3gen,ve")
    chosen = parser.parse_args()
    for model in chosen.models.split(","):
        written = write_checkpoint(chosen.folder, model, small=chosen.small, parts=chosen.parts)
        print(written.folder, *sorted(path.name for path in written.folder.iterdir()))


if __name__ == "__main__":
    main()
