"""Where in a stream of sound somebody begins to speak, and where they have ended.

The speech activity of windows of 32 ms, one after another, by the same model and thresholds as of
whole recordings. Speech begins with a few windows of it in a row and ends with a long pause.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mynah.audio.speech_activity import OFFSET, ONSET, SPEECH_RATE, SPEECH_WINDOW, SpeechStream
from mynah.audio.waveform import Samples, Waveform

_WINDOW_S = SPEECH_WINDOW / SPEECH_RATE
_BEGINNING_WINDOWS = 3  # about 100 ms: clicks and coughs do not begin a question
_LEAD_S = 0.4  # kept from before, for the first consonant


class EndpointKind(StrEnum):
    """What was found: speech began; it ended in a pause, at its limit, or there is none so far."""

    STARTED = "started"
    PAUSE = "pause"
    TOO_LONG = "too_long"
    SILENCE = "silence"


_PAUSE = EndpointKind.PAUSE


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place in the stream. ``pcm``: what was said up to an end, 16-bit, at 16 kHz."""

    kind: EndpointKind
    pcm: bytes = b""


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """``pause_s`` ends speech, ``longest_s`` as well; ``silence_s`` without any is told once."""

    pause_s: float = 0.7
    longest_s: float = 60.0
    silence_s: float = 8.0


class Endpointer:
    """Finds one stretch of speech after another. One object per stream, at 16 kHz, mono."""

    def __init__(self, rules: EndpointRules) -> None:
        self._pause = _windows(rules.pause_s)
        self._longest = _windows(rules.longest_s)
        self._patience = _windows(rules.silence_s)
        # The windows before speech is sure are part of it.
        self._lead: deque[Samples] = deque(maxlen=_windows(_LEAD_S) + _BEGINNING_WINDOWS)
        self._said: list[Samples] | None = None
        self._rest: Samples = np.zeros(0, np.float32)
        self._begin_stream()

    @property
    def is_speaking(self) -> bool:
        """Whether speech has begun and not ended."""
        return self._said is not None

    def push(self, block: Waveform) -> Iterator[Endpoint]:
        """What this block brings. ValueError for another rate than 16 kHz."""
        if block.sample_rate != SPEECH_RATE:
            raise ValueError(f"expected {SPEECH_RATE} Hz, got {block.sample_rate} Hz")
        samples = np.concatenate([self._rest, block.samples])
        whole = len(samples) // SPEECH_WINDOW * SPEECH_WINDOW
        self._rest = samples[whole:].copy()
        windows = samples[:whole].reshape(-1, SPEECH_WINDOW)
        for window, probability in zip(windows, self._stream.push(samples[:whole]), strict=True):
            yield from self._step(window.copy(), float(probability))

    def finish(self) -> Endpoint:
        """End here, whatever is heard: a PAUSE with what was said, or SILENCE."""
        said = self._said
        found = Endpoint(EndpointKind.SILENCE) if said is None else self._end(_PAUSE, said)
        self._begin_stream()
        return found

    def reset(self) -> None:
        """Forget what was heard; the next block begins a stream."""
        self._begin_stream()

    def _begin_stream(self) -> None:
        self._stream = SpeechStream()
        self._rest = self._rest[:0]
        self._is_voiced = self._must_pause = False
        self._begin_waiting()

    def _begin_waiting(self) -> None:
        self._said = None
        self._lead.clear()
        self._voiced_run = self._quiet_run = self._waited = 0

    def _step(self, window: Samples, probability: float) -> Iterator[Endpoint]:
        self._is_voiced = probability >= (OFFSET if self._is_voiced else ONSET)
        if self._said is None:
            yield from self._wait(window)
            return
        self._said.append(window)
        self._quiet_run = 0 if self._is_voiced else self._quiet_run + 1
        if self._quiet_run >= self._pause:
            yield self._end(_PAUSE, self._said)
        elif len(self._said) >= self._longest:
            yield self._end(EndpointKind.TOO_LONG, self._said)
            self._must_pause = True  # the rest of an endless speech is no speech of its own

    def _wait(self, window: Samples) -> Iterator[Endpoint]:
        self._lead.append(window)
        self._must_pause &= self._is_voiced
        is_voiced = self._is_voiced and not self._must_pause
        self._voiced_run = self._voiced_run + 1 if is_voiced else 0
        self._waited += 1
        if self._voiced_run >= _BEGINNING_WINDOWS:
            self._said = list(self._lead)
            yield Endpoint(EndpointKind.STARTED)
        elif self._waited == self._patience:
            yield Endpoint(EndpointKind.SILENCE)

    def _end(self, kind: EndpointKind, said: list[Samples]) -> Endpoint:
        self._begin_waiting()
        return Endpoint(kind, Waveform(np.concatenate(said), SPEECH_RATE).to_pcm16())


def _windows(seconds: float) -> int:
    return max(1, round(seconds / _WINDOW_S))
