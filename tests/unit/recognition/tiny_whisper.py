"""A Whisper model of random weights as CTranslate2 reads it: it runs and knows nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from ctranslate2.specs import WhisperSpec
from tokenizers import decoders, models, pre_tokenizers

SIZE, MELS = 32, 80
SPECIAL = (
    *("endoftext", "startoftranscript", "en", "translate", "transcribe", "startoflm"),
    *("startofprev", "nospeech", "notimestamps"),
    *(f"{number * 0.02:.2f}" for number in range(1501)),
)


def build_tiny_whisper(folder: Path) -> None:
    """Write ``model.bin``, ``tokenizer.json`` and the rest into a folder."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = tokenizers.Tokenizer(
        models.BPE(vocab={letter: number for number, letter in enumerate(letters)}, merges=[])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([f"<|{name}|>" for name in SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))
    count = tokenizer.get_vocab_size()
    spec = WhisperSpec(1, 2, 1, 2)
    _fill(spec, count, np.random.default_rng(0))
    spec.config.lang_ids = [tokenizer.token_to_id("<|en|>")]
    spec.config.suppress_ids = spec.config.suppress_ids_begin = []
    spec.config.alignment_heads = [(0, 0)]
    spec.register_vocabulary([tokenizer.id_to_token(number) for number in range(count)])
    spec.validate()
    spec.save(str(folder))


def _fill(spec: Any, vocabulary: int, rng: np.random.Generator) -> None:
    def weights(*shape: int) -> Any:
        return (0.1 * rng.standard_normal(shape)).astype(np.float32)

    def linear(layer: Any, *shape: int) -> None:
        layer.weight, layer.bias = weights(*shape), weights(shape[0])

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(SIZE, np.float32), np.zeros(SIZE, np.float32)

    def block(layer: Any) -> None:
        norm(layer.self_attention.layer_norm)
        linear(layer.self_attention.linear[0], 3 * SIZE, SIZE)
        linear(layer.self_attention.linear[1], SIZE, SIZE)
        norm(layer.ffn.layer_norm)
        linear(layer.ffn.linear_0, 4 * SIZE, SIZE)
        linear(layer.ffn.linear_1, SIZE, 4 * SIZE)

    encoder, decoder = spec.encoder, spec.decoder
    linear(encoder.conv1, SIZE, MELS, 3)
    linear(encoder.conv2, SIZE, SIZE, 3)
    encoder.position_encodings.encodings = weights(1500, SIZE)
    decoder.position_encodings.encodings = weights(448, SIZE)
    decoder.embeddings.weight = decoder.projection.weight = weights(vocabulary, SIZE)
    for part in (encoder, decoder):
        norm(part.layer_norm)
        block(part.layer[0])
    cross = decoder.layer[0].attention
    norm(cross.layer_norm)
    linear(cross.linear[0], SIZE, SIZE)
    linear(cross.linear[1], 2 * SIZE, SIZE)
    linear(cross.linear[2], SIZE, SIZE)
