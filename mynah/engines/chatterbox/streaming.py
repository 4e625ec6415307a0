"""Sound while the tokens still come: one utterance decoded in chunks that grow.

A chunk's flow sees the prompt, the last seconds of speech and its own frames; each frame gets
the noise of its absolute number, so that overlapping chunks agree. The last frames of a chunk
are kept back: they are rendered again with the next chunk, whose mel is blended in, so that
neither the mel nor the waveform jumps. The excitation of what was rendered is kept and its
phase goes on.

The estimator's attention is full, so a frame heard early cannot know what comes later: the
joined stream is near to the whole utterance decoded at once, not equal to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from mynah.audio.waveform import Samples, Waveform
from mynah.engines.base import Profile
from mynah.engines.chatterbox.s3gen.decoder import (
    SpeechDecoder,
    Tokens,
    fade_in,
    speech_tokens,
)
from mynah.engines.chatterbox.s3gen.flow import FlowState
from mynah.engines.chatterbox.s3gen.layout import (
    FRAMES_PER_TOKEN,
    LOOKAHEAD_TOKENS,
    SAMPLE_RATE,
    SAMPLES_PER_FRAME,
)
from mynah.errors import EngineFailed

CHUNK_TOKENS: Final = (10, 25, 50)  # the last size repeats
_FLOW_CONTEXT_TOKENS: Final = 50
_ENCODER_CONTEXT_TOKENS: Final = 250
_HELD_FRAMES: Final = 8  # at a chunk's end, until the next one is there
_LEFT_FRAMES: Final = 16  # the vocoder sees no further back
_CROSSFADE_SAMPLES: Final = SAMPLES_PER_FRAME // 2


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of work for the flow solver. ``state`` holds the prompt and the frames from
    ``first_frame`` to ``end_frame`` of the utterance, context included."""

    state: FlowState
    first_frame: int
    end_frame: int
    is_last: bool


class StreamDecoder:
    """One utterance's decoding, in the caller's thread.

    ``solve`` brings a chunk's flow to its end: the decoder's own solver, or a scheduler that
    takes the steps of many utterances together.
    """

    def __init__(
        self,
        decoder: SpeechDecoder,
        profile: Profile,
        seed: int,
        *,
        solve: Callable[[FlowState], None] | None = None,
        chunk_tokens: tuple[int, ...] = CHUNK_TOKENS,
    ) -> None:
        """Raises InvalidRequest (``invalid_profile``)."""
        if not chunk_tokens or min(chunk_tokens) * FRAMES_PER_TOKEN < _HELD_FRAMES:
            raise ValueError("chunks must hold at least the frames that are kept back")
        self._decoder = decoder
        self._solve = solve or (lambda state: decoder.solver.solve([state]))
        self._prompt = decoder.prompt(profile)
        self._seed = seed
        self._sizes = chunk_tokens
        self._chunks = 0
        self._tokens = np.zeros(0, np.int64)
        self._planned = 0  # tokens whose frames are in a chunk
        self._is_ended = False
        self._rendering = _Rendering(decoder, seed)

    def add(self, tokens: Tokens) -> Iterator[Waveform]:
        """Take the utterance's next tokens; yields the sound that is ready."""
        self.feed(tokens)
        yield from self._decode()

    def finish(self) -> Iterator[Waveform]:
        """No more tokens come; yields the rest. Raises EngineFailed when there were none."""
        self.end()
        yield from self._decode()

    def feed(self, tokens: Tokens) -> None:
        """Take the utterance's next tokens, T3's marks among them allowed."""
        self._tokens = np.concatenate([self._tokens, speech_tokens(tokens)])

    def end(self) -> None:
        """No more tokens come. Raises EngineFailed when there were none."""
        if not len(self._tokens):
            raise EngineFailed("The model gave no speech for this text.")
        self._tokens = np.concatenate([self._tokens, self._decoder.end_tokens])
        self._is_ended = True

    def next_chunk(self) -> Chunk | None:
        """The next piece of work, None while tokens are missing. ``render`` must follow."""
        size = self._sizes[min(self._chunks, len(self._sizes) - 1)]
        waiting = len(self._tokens) - self._planned
        is_last = self._is_ended and waiting <= size + LOOKAHEAD_TOKENS
        if waiting == 0 or (not is_last and waiting < size + LOOKAHEAD_TOKENS):
            return None
        end = len(self._tokens) if is_last else self._planned + size
        start = max(0, self._planned - _FLOW_CONTEXT_TOKENS)
        state = self._begin(start, end, is_last)
        self._planned = end
        self._chunks += 1
        return Chunk(state, start * FRAMES_PER_TOKEN, end * FRAMES_PER_TOKEN, is_last)

    def render(self, chunk: Chunk) -> Waveform:
        """The sound of a solved chunk, as far as it is final."""
        return self._rendering.render(chunk)

    def _decode(self) -> Iterator[Waveform]:
        while (chunk := self.next_chunk()) is not None:
            self._solve(chunk.state)
            yield self.render(chunk)

    def _begin(self, start: int, end: int, is_last: bool) -> FlowState:
        first = max(0, min(start, self._planned - _ENCODER_CONTEXT_TOKENS))
        seen = self._tokens[first : end if is_last else end + LOOKAHEAD_TOKENS]
        encoded = self._decoder.encode(self._prompt, seen, is_final=is_last)
        skipped = (start - first) * FRAMES_PER_TOKEN
        with torch.inference_mode():
            prompt, speech = encoded[: self._prompt.frames], encoded[self._prompt.frames :]
            window = torch.cat([prompt, speech[skipped:]])
        return self._decoder.begin(self._prompt, window, self._seed, start * FRAMES_PER_TOKEN)


class _Rendering:
    """The vocoder's side of a stream: what was said, as far as the next chunk needs it."""

    def __init__(self, decoder: SpeechDecoder, seed: int) -> None:
        self._decoder = decoder
        self._seed = seed
        self._said = 0  # frames that are out
        self._first = 0  # the frame with which _mel and _source begin
        self._mel: torch.Tensor | None = None  # (frames, MELS)
        self._source = torch.zeros((1, 1, 0), device=decoder.device)  # samples up to _said
        self._cycles = decoder.no_cycles(1)  # at _said
        self._tail: Samples = np.zeros(0, np.float32)  # the last rendering from _said on

    def render(self, chunk: Chunk) -> Waveform:
        """The sound from where the stream is to the chunk's end, less what is kept back."""
        with torch.inference_mode():
            mel = self._joined(chunk)
            samples = self._vocode(mel, chunk)
        out = samples[(self._said - self._first) * SAMPLES_PER_FRAME :].cpu().numpy()
        end = chunk.end_frame if chunk.is_last else chunk.end_frame - _HELD_FRAMES
        ready = (end - self._said) * SAMPLES_PER_FRAME
        spoken = _crossfade(self._tail, out[:ready])
        self._tail = out[ready : ready + _CROSSFADE_SAMPLES]
        self._keep(mel, end)
        return Waveform(spoken, SAMPLE_RATE)

    def _joined(self, chunk: Chunk) -> torch.Tensor:
        """What was said and the chunk's mel, the frames that both have blended."""
        fresh = chunk.state.speech
        if self._mel is None:
            return fresh
        held = self._first + len(self._mel) - self._said  # frames that can still change
        start = self._said - chunk.first_frame
        weights = (torch.arange(held, device=fresh.device) + 0.5)[:, None] / held
        old, new = self._mel[len(self._mel) - held :], fresh[start : start + held]
        blended = old + weights * (new - old)
        return torch.cat([self._mel[: len(self._mel) - held], blended, fresh[start + held :]])

    def _vocode(self, mel: torch.Tensor, chunk: Chunk) -> torch.Tensor:
        vocoder, past = self._decoder.vocoder, self._said - self._first
        rows = mel.T[None]
        f0 = vocoder.pitch(rows)[:, past:]
        excitation = self._decoder.excite(f0, [self._seed], self._said, self._cycles)
        source = torch.cat([self._source, excitation.samples], dim=2)
        ready = len(mel) - past - (0 if chunk.is_last else _HELD_FRAMES)
        self._cycles = excitation.cycles[:, ready]
        self._source = source
        samples = vocoder.render(rows, source)[0]
        return fade_in(samples) if self._said == 0 else samples

    def _keep(self, mel: torch.Tensor, end: int) -> None:
        first = max(self._first, end - _LEFT_FRAMES)
        self._mel = mel[first - self._first :]
        span = slice(
            (first - self._first) * SAMPLES_PER_FRAME, (end - self._first) * SAMPLES_PER_FRAME
        )
        self._source = self._source[:, :, span]
        self._first, self._said = first, end


def _crossfade(old: Samples, new: Samples) -> Samples:
    """``new`` with its start faded in over ``old``, which goes on from the same place."""
    length = min(len(old), len(new))
    if length == 0:
        return new
    rise = ((np.arange(length) + 0.5) / length).astype(np.float32)
    mixed = new.copy()
    mixed[:length] = old[:length] + rise * (new[:length] - old[:length])
    return mixed
