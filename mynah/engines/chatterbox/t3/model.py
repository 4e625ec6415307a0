"""T3 with its weights: embeddings, transformer and head. Holds nothing of any request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from mynah.engines.chatterbox.checkpoint import load_t3_weights
from mynah.engines.chatterbox.quantization import Precision, build_linear
from mynah.engines.chatterbox.t3.conditioning import ConditioningEncoder, VoiceConditioning
from mynah.engines.chatterbox.t3.config import T3Config, is_matrix, is_unused
from mynah.engines.chatterbox.t3.needs import round_up
from mynah.engines.chatterbox.t3.network import Attended, Network
from mynah.errors import InvalidRequest


@dataclass(slots=True)
class VoicePrefix:
    """A voice's keys and values, each (layers, heads, positions, head width), to be copied.

    Behind the voice's own ``length`` positions there may be those of a text's places without a
    text, as guidance wants them: they are the same for all texts, and are added when needed.
    """

    keys: Any
    values: Any
    length: int

    @property
    def size_bytes(self) -> int:
        """The memory that it takes."""
        return int(2 * self.keys.numel() * self.keys.element_size())


class T3Model:
    """One model on one device in one precision."""

    def __init__(
        self, config: T3Config, tensors: Mapping[str, Any], precision: Precision, device: Any
    ) -> None:
        self.config = config
        self.precision = precision
        self.device = torch.device(device)
        with torch.no_grad():
            self._network = Network(config, tensors, precision, self.device)
            self._conditioning = ConditioningEncoder(config, tensors, self.device)
            self._head = build_linear(
                tensors["speech_head.weight"],
                tensors.get("speech_head.bias"),
                precision,
                self.device,
            )
            self._tables = {
                name: tensors[f"{name}.weight"].to(self.device, self._network.dtype)
                for name in (
                    "text_emb",
                    "speech_emb",
                    *(
                        ["tfmr.wpe"]
                        if config.is_gpt2
                        else ["text_pos_emb.emb", "speech_pos_emb.emb"]
                    ),
                )
            }

    @classmethod
    def load(cls, path: Path, config: T3Config, precision: Precision, device: Any) -> T3Model:
        """From a checkpoint's file. Raises EngineUnavailable."""
        tensors = load_t3_weights(path, config)
        # What is kept as it is would keep the whole file in memory, into which it points.
        kept = {
            name: tensor if is_matrix(name) else tensor.clone()
            for name, tensor in tensors.items()
            if not is_unused(name)
        }
        return cls(config, kept, precision, device)

    @property
    def cache_dtype(self) -> Any:
        """The type of keys and values."""
        return self.precision.cache

    def prefix_embeddings(self, voice: VoiceConditioning, exaggeration: float) -> Any:
        """The voice's positions, (1, positions, width). Raises InvalidRequest."""
        voice.check(self.config)
        prompt = self._tables["speech_emb"][voice.prompt.to(self.device)][None].float()
        if not self.config.is_gpt2:
            prompt = prompt + self._tables["speech_pos_emb.emb"][: prompt.shape[1]].float()
        return self._conditioning.encode(voice, prompt, exaggeration)

    def compute_prefix(self, voice: VoiceConditioning, exaggeration: float) -> VoicePrefix:
        """The voice's keys and values: the same for every text and with or without guidance."""
        embeddings = self.prefix_embeddings(voice, exaggeration)
        length = embeddings.shape[1]
        config = self.config
        shape = (config.layers, config.heads, 0, config.head_width)
        nothing = torch.zeros(shape, dtype=self.cache_dtype, device=self.device)
        prefix = VoicePrefix(nothing, nothing, length)
        self._extend(prefix, embeddings)
        return prefix

    def add_empty_text(self, prefix: VoicePrefix, count: int) -> None:
        """Let ``prefix`` hold the places of a text of ``count`` tokens, without the text."""
        there = prefix.keys.shape[2] - prefix.length
        if there < count:
            most = min(round_up(count), self.config.text_positions)
            self._extend(prefix, self._tables["text_pos_emb.emb"][None, there:most])

    def _extend(self, prefix: VoicePrefix, embeddings: Any) -> None:
        """Compute further positions (1, positions, width) of a prefix."""
        there, more = prefix.keys.shape[2], embeddings.shape[1]
        keys, values = (
            functional.pad(x, (0, 0, 0, more))[:, None] for x in (prefix.keys, prefix.values)
        )
        places = torch.arange(there, there + more, device=self.device)[None]
        flat = self._with_places(embeddings, places).flatten(0, 1)
        self._network.forward(flat, [Attended.build(keys, values, places)])
        prefix.keys, prefix.values = keys[:, 0], values[:, 0]

    def text_embeddings(self, text: Any, *, guided: bool) -> Any:
        """What follows the prefix: text and start, (1 or 2 if guided, positions, width).

        ``text`` (tokens,) int64 with its start and stop tokens. The second row is the one
        without text. Raises InvalidRequest.
        """
        self._check_text(text)
        text = text.to(self.device)
        words = self._tables["text_emb"][text]
        start = self._tables["speech_emb"][self.config.start_speech][None]
        if self.config.is_gpt2:
            return torch.cat([words, start])[None]
        rows = torch.stack([words, torch.zeros_like(words)]) if guided else words[None]
        rows = rows + self._tables["text_pos_emb.emb"][: len(text)]
        start = start + self._tables["speech_pos_emb.emb"][:1]
        # The library feeds the start token twice.
        return torch.cat([rows, start.expand(len(rows), 2, -1)], 1)

    def speech_embeddings(self, tokens: Any, steps: Any) -> Any:
        """Of the tokens drawn last, (streams, width); ``steps``: how many came before each."""
        embeddings = self._tables["speech_emb"][tokens]
        if self.config.is_gpt2:
            return embeddings
        return embeddings + self._tables["speech_pos_emb.emb"][steps + 1]

    def forward(self, *parts: tuple[Any, Attended]) -> Any:
        """Logits after the last new position of each row of all parts, (rows, vocabulary) float32.

        A part: its embeddings (rows, new, width) and what they attend to.
        """
        flat = torch.cat([self._with_places(x, part.places).flatten(0, 1) for x, part in parts])
        hidden = self._network.forward(flat, [part for _, part in parts])
        sizes = [part.places.numel() for _, part in parts]
        last = [
            found.view(*part.places.shape, -1)[:, -1]
            for found, (_, part) in zip(hidden.split(sizes), parts, strict=True)
        ]
        return self._head(torch.cat(last)).float()

    def all_logits(self, embeddings: Any) -> Any:
        """Logits at every position of whole rows, as a teacher-forced comparison needs them."""
        rows, length, _ = embeddings.shape
        config = self.config
        shape = (config.layers, rows, config.heads, length, config.head_width)
        keys = torch.zeros(shape, dtype=self.cache_dtype, device=self.device)
        places = torch.arange(length, device=self.device).expand(rows, -1)
        attended = Attended.build(keys, torch.zeros_like(keys), places)
        flat = self._with_places(embeddings, places).flatten(0, 1)
        hidden = self._network.forward(flat, [attended])
        return self._head(hidden).float().view(rows, length, -1)

    def _with_places(self, embeddings: Any, places: Any) -> Any:
        if not self.config.is_gpt2:
            return embeddings
        return embeddings + self._tables["tfmr.wpe"][places]

    def _check_text(self, text: Any) -> None:
        limit = self.config.text_positions
        if text.ndim != 1 or not 0 < len(text) <= limit:
            raise InvalidRequest(f"A text must have 1 to {limit} tokens.", code="text_too_long")
        if int(text.min()) < 0 or int(text.max()) >= self.config.text_vocabulary:
            raise InvalidRequest("The text holds a token that the model does not know.")
