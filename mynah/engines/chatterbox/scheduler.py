"""Who speaks when: one thread per device owns the model and decodes all requests in one batch.

Requests wait in a bounded queue, live ones first; each gets its tokens through a queue of its
own. A request that fails, is cancelled or is forgotten by its caller leaves the batch between two
steps; no other row notices.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from mynah.engines.chatterbox.sampling import SamplingSettings
from mynah.engines.chatterbox.statistics import DecodeStatistics, StatisticsRecorder
from mynah.engines.chatterbox.t3.batch import DecodeBatch, Stream
from mynah.engines.chatterbox.t3.conditioning import VoiceConditioning
from mynah.engines.chatterbox.t3.guards import Ending, RepetitionGuard, limit_tokens
from mynah.engines.chatterbox.t3.model import T3Model
from mynah.engines.chatterbox.t3.needs import cache_bytes, needed_positions, round_up
from mynah.engines.chatterbox.t3.prefix_cache import PrefixCache
from mynah.errors import EngineFailed, EngineUnavailable, InvalidRequest, MynahError, TextTooLong

_log: Final = logging.getLogger(__name__)

MAX_EXAGGERATION: Final = 2.0


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One text to speak. ``text`` (tokens,) int64 with its start and stop tokens.

    ``live``: a listener waits. ``max_tokens`` None: from the text's length.
    """

    voice: VoiceConditioning
    text: Any
    sampling: SamplingSettings
    exaggeration: float = 0.5
    live: bool = False
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class SchedulerLimits:
    """What one device may hold.

    ``rows``: at a time; a text with guidance takes two · ``rows_for_live``: of these kept free of
    batch work · ``cache_bytes`` of keys and values · ``prefix_bytes`` of voices' prefixes ·
    ``waiting`` requests · ``steps_per_readback``: steps before tokens are read; 1 on a CPU ·
    ``idle_release_s``: without work for so long, the memory for keys and values is freed.
    """

    rows: int = 32
    rows_for_live: int = 2
    cache_bytes: int = 4 * 1024**3
    prefix_bytes: int = 512 * 1024**2
    waiting: int = 256
    steps_per_readback: int = 1
    idle_release_s: float = 60.0


class TokenStream:
    """A request's speech tokens as they are drawn, without the one that ends speech.

    Iterating yields lists of at least one token; it raises MynahError when the request failed.
    Closing the iterator, or ``cancel``, takes the request out of the batch.
    """

    def __init__(self, request: TokenRequest, max_tokens: int) -> None:
        self.request = request
        self.max_tokens = max_tokens
        self.ending: Ending | None = None
        self.submitted_at = time.monotonic()
        self._arrived: queue.SimpleQueue[list[int] | MynahError | None] = queue.SimpleQueue()
        self._cancelled = threading.Event()

    def __iter__(self) -> Iterator[list[int]]:
        try:
            while (item := self._arrived.get()) is not None:
                if isinstance(item, MynahError):
                    raise item
                yield item
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Stop; safe at any time and more than once."""
        self._cancelled.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody wants this any more."""
        return self._cancelled.is_set()

    def put(self, tokens: list[int]) -> None:
        """Hand tokens to the caller. Called by the scheduler's thread only."""
        self._arrived.put(tokens)

    def finish(self, ending: Ending) -> None:
        """No more tokens. Called by the scheduler's thread only."""
        self.ending = ending
        self._arrived.put(None)

    def fail(self, error: MynahError) -> None:
        """The request failed. Called by the scheduler's thread only."""
        self._arrived.put(error)


@dataclass(slots=True, eq=False)
class _Running:
    handle: TokenStream
    stream: Stream
    guard: RepetitionGuard = field(default_factory=RepetitionGuard)
    count: int = 0


class SpeechScheduler:
    """Decodes the requests of one model on one device. ``close`` ends its thread."""

    def __init__(self, model: T3Model, limits: SchedulerLimits | None = None) -> None:
        self._model = model
        self._limits = limits or SchedulerLimits()
        self._wake = threading.Condition()
        self._waiting: dict[bool, deque[TokenStream]] = {True: deque(), False: deque()}
        self._running: dict[Stream, _Running] = {}
        self._batch = DecodeBatch(model)
        self._prefixes = PrefixCache(model, self._limits.prefix_bytes)
        self._recorder = StatisticsRecorder()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="chatterbox-t3", daemon=True)
        self._thread.start()

    def submit(self, request: TokenRequest) -> TokenStream:
        """Queue a request.

        Raises InvalidRequest, TextTooLong, EngineUnavailable (``engine_busy`` when the queue is
        full, also after ``close``).
        """
        request.sampling.check()
        if not 0 <= request.exaggeration <= MAX_EXAGGERATION:
            message = f"exaggeration must lie between 0 and {MAX_EXAGGERATION:g}."
            raise InvalidRequest(message, fields={"exaggeration": [message]})
        handle = TokenStream(request, self._token_limit(request))
        rows, positions = self._needs(handle)
        width = self._model.cache_dtype.itemsize
        size = cache_bytes(self._model.config, width, rows, round_up(positions))
        if size > self._limits.cache_bytes:
            raise TextTooLong("The text is too long for the memory that speech may use.")
        with self._wake:
            if self._closed:
                raise EngineUnavailable("The speech engine is closed.")
            if sum(map(len, self._waiting.values())) >= self._limits.waiting:
                raise EngineUnavailable(
                    "The speech engine is busy.", code="engine_busy", retry_after_s=1
                )
            self._waiting[request.live].append(handle)
            self._wake.notify()
        return handle

    def statistics(self) -> DecodeStatistics:
        """Figures since the start and of the last seconds."""
        with self._wake:
            waiting = sum(map(len, self._waiting.values()))
        prefixes = self._prefixes
        return self._recorder.snapshot(
            waiting=waiting, running=len(self._running), prefixes=(prefixes.hits, prefixes.misses)
        )

    def close(self) -> None:
        """End the thread; what waits or runs fails with EngineUnavailable."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    # Everything below runs in the scheduler's thread.

    def _run(self) -> None:
        with torch.inference_mode():
            while self._wait_for_work():
                try:
                    self._admit()
                    self._advance()
                except Exception:  # a fault of the batch itself: nobody in it can go on
                    _log.exception("decoding failed; the batch starts anew")
                    self._fail_all(EngineFailed("The speech engine failed."))
        self._fail_all(EngineUnavailable("The speech engine is closed."), also_waiting=True)

    def _wait_for_work(self) -> bool:
        """Sleep until there is some; False when closed."""
        with self._wake:
            if not self._wake.wait_for(self._has_work, self._limits.idle_release_s):
                self._batch.release()
                self._wake.wait_for(self._has_work)
            return not self._closed

    def _has_work(self) -> bool:
        return self._closed or bool(self._running) or any(self._waiting.values())

    def _admit(self) -> None:
        """Let waiting requests in, at most as many between two steps as speak; all that fit where
        nobody does. So few steps are taken with few rows, and those who speak are not kept long."""
        most = len(self._running) or self._limits.rows
        for _ in range(most):
            if (handle := self._take_next()) is None:
                return
            self._start(handle)

    def _take_next(self) -> TokenStream | None:
        with self._wake:
            for live in (True, False):
                line = self._waiting[live]
                while line and line[0].is_cancelled:
                    line.popleft()
                if line and self._fits(line[0]):
                    return line.popleft()
        return None

    def _fits(self, handle: TokenStream) -> bool:
        limits = self._limits
        rows, positions = self._needs(handle)
        free = limits.rows - self._batch.rows
        if not handle.request.live and self._running:
            free -= limits.rows_for_live
        size = self._batch.bytes_with(rows, positions)
        return (rows <= free and size <= limits.cache_bytes) or not self._running

    def _start(self, handle: TokenStream) -> None:
        request = handle.request
        try:
            prefix = self._prefixes.get(request.voice, request.exaggeration)
            stream = self._batch.join(prefix, request.text, request.sampling, self._room(handle))
        except MynahError as error:
            handle.fail(error)
        except Exception:
            _log.exception("a request could not start")
            handle.fail(EngineFailed("The speech engine could not speak this."))
        else:
            self._running[stream] = _Running(handle, stream)
            self._recorder.started(time.monotonic() - handle.submitted_at)
        self._prefixes.trim()  # this text may have made one longer

    def _advance(self) -> None:
        for running in list(self._running.values()):
            if running.handle.is_cancelled:
                self._end(running, Ending.CANCELLED)
        if not self._running:
            return
        began = time.perf_counter()
        for _ in range(self._limits.steps_per_readback):
            self._batch.step()
        order = self._batch.order
        drawn = self._batch.collect()
        self._recorder.stepped(
            time.perf_counter() - began, self._limits.steps_per_readback, len(order)
        )
        for stream, tokens in zip(order, drawn, strict=True):
            self._deliver(self._running[stream], tokens)

    def _deliver(self, running: _Running, tokens: list[int]) -> None:
        """Hand over what is speech; what was drawn after the end is dropped."""
        speech: list[int] = []
        ending = error = None
        for token in tokens:
            if token < 0:
                error = EngineFailed("The voice or the text made the model's numbers overflow.")
            elif self._ends_speech(running, token):
                ending = Ending.SPOKEN
            else:
                speech.append(token)
                running.count += 1
                if running.guard.add(token):
                    ending = Ending.REPETITION
                elif running.count >= running.handle.max_tokens:
                    ending = Ending.LENGTH
            if ending or error:
                break
        if speech:
            if running.count == len(speech):
                self._recorder.first_token(time.monotonic() - running.handle.submitted_at)
            running.handle.put(speech)
        if error:
            self._remove(running, wipe=True)
            running.handle.fail(error)
        elif ending:
            self._end(running, ending)

    def _ends_speech(self, running: _Running, token: int) -> bool:
        config = self._model.config
        # The library's Turbo loop looks for the end from the second token on.
        return token == config.stop_speech and not (config.is_gpt2 and running.count == 0)

    def _end(self, running: _Running, ending: Ending) -> None:
        self._remove(running)
        self._recorder.ended(ending)
        running.handle.finish(ending)

    def _remove(self, running: _Running, *, wipe: bool = False) -> None:
        del self._running[running.stream]
        self._batch.leave(running.stream, wipe=wipe)

    def _fail_all(self, error: MynahError, *, also_waiting: bool = False) -> None:
        handles = [running.handle for running in self._running.values()]
        self._running.clear()
        self._batch = DecodeBatch(self._model)
        if also_waiting:
            with self._wake:
                for line in self._waiting.values():
                    handles += line
                    line.clear()
        for handle in handles:
            handle.fail(error)

    def _token_limit(self, request: TokenRequest) -> int:
        limit = self._model.config.speech_positions - 2
        wanted = request.max_tokens or limit_tokens(len(request.text))
        return min(limit, wanted)

    def _room(self, handle: TokenStream) -> int:
        """Positions for its speech; steps between two readbacks may overshoot the end."""
        return handle.max_tokens + self._limits.steps_per_readback

    def _needs(self, handle: TokenStream) -> tuple[int, int]:
        """(rows, positions of each) that a request takes up to its last token."""
        request, config = handle.request, self._model.config
        rows = 2 if request.sampling.guidance > 0 and not config.is_gpt2 else 1
        return rows, needed_positions(config, len(request.text), self._room(handle))
