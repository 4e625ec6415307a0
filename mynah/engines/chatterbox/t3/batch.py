"""Continuous batching: the streams that speak now; they join and leave between steps.

A stream is one row of the batch, or two with guidance. Everything that a step needs is a tensor
on the device and no step waits for the device: tokens are read back by ``collect``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.nn import functional

from mynah.engines.chatterbox.recordings import (
    Recordings,
    recordings_for,
    round_up_to_power,
    upload,
)
from mynah.engines.chatterbox.sampling import Sampler, SamplingSettings
from mynah.engines.chatterbox.t3.kv_cache import KvCache
from mynah.engines.chatterbox.t3.model import T3Model, VoicePrefix
from mynah.engines.chatterbox.t3.needs import round_up
from mynah.engines.chatterbox.t3.network import Attended

_ATTENDED_STEP: Final = 16  # plain steps attend to multiples of this
_RECORDED_POSITIONS: Final = 128  # recorded steps attend to multiples of this: fewer recordings


@dataclass(slots=True, eq=False)
class Stream:
    """One text on its way through the batch; ``rows``: the one with text, then the one without."""

    rows: list[int]
    length: int  # positions that its rows hold
    reserved: int  # positions that they may come to hold
    steps: int = 0  # tokens drawn
    first_logits: Any = None  # (rows, vocabulary) between joining and the first draw


class DecodeBatch:
    """The rows of one model. Not thread-safe: one thread owns it."""

    def __init__(self, model: T3Model, recordings: Recordings | None = None) -> None:
        """``recordings`` None: those of the model's device, if it has any."""
        self._model = model
        self._recordings = recordings or recordings_for(model.device)
        config = model.config
        self._cache = KvCache(config, model.cache_dtype, model.device)
        self._sampler = Sampler(
            config.speech_vocabulary, filter_first=config.is_gpt2, device=model.device
        )
        self._streams: list[Stream] = []
        self._last = torch.zeros(0, dtype=torch.long, device=model.device)
        self._drawn: list[Any] = []
        self._places: dict[str, Any] | None = None

    @property
    def rows(self) -> int:
        """Rows in the batch; a stream with guidance has two."""
        return self._cache.rows

    @property
    def streams(self) -> int:
        """Texts in the batch."""
        return len(self._streams)

    def bytes_with(self, more: int, positions: int) -> int:
        """The memory for keys and values once ``more`` rows of that length joined."""
        return self._cache.bytes_for(self._cache.rows + more, self._longest(positions))

    def release(self) -> None:
        """Free the memory of keys and values. Only without streams."""
        self._cache.release()
        self._forget_recordings()

    def join(
        self, prefix: VoicePrefix, text: Any, settings: SamplingSettings, max_tokens: int
    ) -> Stream:
        """Add a text (tokens,) int64; computes its prefix-to-start positions at once.

        Call ``collect`` before. Raises InvalidRequest and leaves the batch as it was.
        """
        guided = settings.guidance > 0 and not self._model.config.is_gpt2
        embeddings = self._model.text_embeddings(text, guided=guided)
        rows, new, _ = embeddings.shape
        length = prefix.length + new
        reserved = length + max_tokens
        cache = self._cache
        used = max((one.length for one in self._streams), default=0)
        if cache.reserve(cache.rows + rows, self._longest(reserved), used):
            self._forget_recordings()
        parts = [self._begun(cache.rows, prefix, prefix.length, embeddings[:1])]
        if guided:  # without a text there is nothing new before the start
            self._model.add_empty_text(prefix, len(text))
            known = prefix.length + len(text)
            parts.append(self._begun(cache.rows + 1, prefix, known, embeddings[1:, len(text) :]))
        logits = self._model.forward(*parts)
        stream = Stream(
            [cache.add_row() for _ in range(rows)], length, reserved, first_logits=logits
        )
        self._sampler.add(settings, self._model.config.start_speech)
        self._streams.append(stream)
        self._last = torch.cat([self._last, self._last.new_zeros(1)])
        self._places = None
        return stream

    def _begun(self, row: int, prefix: VoicePrefix, known: int, embeddings: Any) -> Any:
        """A row with the first ``known`` positions of the prefix, as a part of a forward pass."""
        length = known + embeddings.shape[1]
        keys, values = (
            x[:, row : row + 1, :, : round_up(length, _ATTENDED_STEP)]
            for x in (self._cache.keys, self._cache.values)
        )
        keys[:, 0, :, :known] = prefix.keys[:, :, :known]
        values[:, 0, :, :known] = prefix.values[:, :, :known]
        places = torch.arange(known, length, device=self._model.device)[None]
        return embeddings, Attended.build(keys, values, places)

    def leave(self, stream: Stream, *, wipe: bool = False) -> None:
        """Remove a stream; the others keep their tokens and places. Call ``collect`` before.

        ``wipe``: its numbers are not finite.
        """
        index = self._streams.index(stream)
        self._sampler.drop(index)
        self._streams[index] = self._streams[-1]
        self._last[index] = self._last[-1]
        self._streams.pop()
        self._last = self._last[:-1]
        self._places = None
        for row in sorted(stream.rows, reverse=True):
            self._drop_row(row, wipe=wipe)

    def step(self) -> None:
        """Draw one more token for every stream."""
        spoken = [stream for stream in self._streams if stream.first_logits is None]
        joined = self._streams[len(spoken) :]
        conditional, unconditional = self._logits_of(spoken, joined)
        tokens = self._sampler.draw(conditional, unconditional)
        if self._model.config.is_gpt2:
            self._forget_start(tokens, len(spoken))
        for stream in joined:
            stream.first_logits = None
            self._places = None
        for stream in self._streams:
            stream.steps += 1
        self._last = tokens
        self._drawn.append(tokens)

    def collect(self) -> list[list[int]]:
        """The tokens drawn since the last call, by stream in ``order``; waits for the device.

        -1 stands for a draw from logits that were not finite.
        """
        if not self._drawn:
            return [[] for _ in self._streams]
        tokens: list[list[int]] = torch.stack(self._drawn, 1).tolist()
        self._drawn = []
        return tokens

    @property
    def order(self) -> tuple[Stream, ...]:
        """The streams as ``collect`` lists them."""
        return tuple(self._streams)

    def _logits_of(self, spoken: list[Stream], joined: list[Stream]) -> tuple[Any, Any | None]:
        """(streams, vocabulary) with text and without; None where no stream is guided."""
        conditional, unconditional = [], []
        if spoken:
            logits = self._decode(spoken)
            conditional.append(logits[self._tensors(spoken)["with_text"]])
            unconditional.append(logits[self._tensors(spoken)["without_text"]])
        for stream in joined:
            conditional.append(stream.first_logits[:1])
            unconditional.append(stream.first_logits[-1:])
        guided = any(len(stream.rows) == 2 for stream in self._streams)
        return torch.cat(conditional), torch.cat(unconditional) if guided else None

    def _decode(self, spoken: list[Stream]) -> Any:
        tensors = self._tensors(spoken)
        longest = max(stream.length for stream in spoken) + 1
        embeddings = self._model.speech_embeddings(self._last[: len(spoken)], tensors["steps"])
        by_row = embeddings[tensors["stream_of_row"]][:, None]
        if self._recordings is None:
            logits = self._forward(by_row, tensors["places"], longest)
        else:
            logits = self._replay(self._recordings, by_row, tensors["places"], longest)
        tensors["steps"] += 1
        tensors["places"] += 1
        for stream in spoken:
            stream.length += 1
        return logits

    def _forward(self, embeddings: Any, places: Any, longest: int) -> Any:
        """Logits of the first rows, of which ``longest`` positions are looked at."""
        rows = len(embeddings)
        longest = round_up(longest, _ATTENDED_STEP)
        keys = self._cache.keys[:, :rows, :, :longest]
        values = self._cache.values[:, :rows, :, :longest]
        return self._model.forward((embeddings, Attended.build(keys, values, places)))

    def _replay(self, recordings: Recordings, embeddings: Any, places: Any, longest: int) -> Any:
        """As ``_forward``, in one of few shapes: more rows of the cache are computed as well.

        These are free, or of a stream that has just joined; they write where no row has come to.
        """
        count, more = len(embeddings), round_up_to_power(len(embeddings)) - len(embeddings)
        longest = max([longest, *(stream.length + 1 for stream in self._streams)])
        longest = min(round_up(longest, _RECORDED_POSITIONS), self._cache.capacity[1])

        def forward(embeddings: Any, places: Any) -> Any:
            return self._forward(embeddings, places, longest)

        embeddings = functional.pad(embeddings, (0, 0, 0, 0, 0, more))
        places = functional.pad(places, (0, 0, 0, more), value=longest - 1)
        return recordings.run((count + more, longest), forward, embeddings, places)[:count]

    def _forget_recordings(self) -> None:
        """They read and write the keys and values where these were."""
        if self._recordings:
            self._recordings.clear()

    def _tensors(self, spoken: list[Stream]) -> dict[str, Any]:
        """Where each row is and whose it is; built anew when a stream came or went."""
        if self._places is None:
            owners = {row: i for i, stream in enumerate(spoken) for row in stream.rows}
            by_row = [owners[row] for row in sorted(owners)]
            listed: dict[str, list[Any]] = {
                "with_text": [stream.rows[0] for stream in spoken],
                "without_text": [stream.rows[-1] for stream in spoken],
                "stream_of_row": by_row,
                "places": [[spoken[i].length] for i in by_row],
                "steps": [stream.steps - 1 for stream in spoken],
            }
            self._places = {name: upload(v, self._model.device) for name, v in listed.items()}
        return self._places

    def _forget_start(self, tokens: Any, spoken: int) -> None:
        """Turbo's penalty looks at the start token before the first draw only."""
        for index in range(spoken, len(self._streams)):
            self._sampler.forget(index, self._model.config.start_speech, tokens[index])

    def _longest(self, positions: int) -> int:
        return max([positions, *(stream.reserved for stream in self._streams)])

    def _drop_row(self, row: int, *, wipe: bool) -> None:
        last = self._cache.rows - 1
        mover = next((stream for stream in self._streams if last in stream.rows), None)
        self._cache.drop_row(row, mover.length if mover else 0, wipe=wipe)
        if mover:
            mover.rows[mover.rows.index(last)] = row
