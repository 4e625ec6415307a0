"""A device's sound on one WebSocket: a thread finds the questions in it and has them answered.

The socket's thread only hands sound over, so that interruptions and pings are heard at once.
This module brings onnxruntime and the model of speech activity, with the first ``listen``.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from uuid import UUID

import numpy as np
import structlog

from mynah.audio.endpointing import Endpoint, Endpointer, EndpointKind, EndpointRules
from mynah.audio.g711 import Law, decode_g711
from mynah.audio.resample import StreamResampler
from mynah.audio.waveform import Waveform
from mynah.contracts.questions import QUESTION_RATE
from mynah.errors import InvalidRequest, TooManyRequests
from services.api.live.sockets.answering import Answering
from services.api.live.sockets.heard_sound import PCM16, SoundForm
from services.api.live.sockets.messages import show
from services.api.live.sockets.talk import Talk
from services.api.live.sockets.websocket import INTERNAL, SocketClosed
from services.api.use_cases.questions import ListenOrder

log = structlog.get_logger(__name__)

# A whole question may come at once, as from a recording; then no faster than it was spoken.
AHEAD_MARGIN_S = 5.0
LARGEST_BLOCK_S = 0.25  # so that no block keeps an end waiting
MOST_MESSAGES = 10_000  # not heard yet, however short they are
NO_SOUND_S = 2.0  # who sends nothing any more has stopped speaking

_Item = bytes | Callable[[], bool]
"""Sound, or what is done behind it; True: it was the last."""


class Hearing:
    """Hears from the ``listen`` of a conversation to its end."""

    def __init__(self, talk: Talk, order: ListenOrder, responder_id: UUID, language: str) -> None:
        settings = talk.container.settings
        self._talk = talk
        self._may_interrupt = order.barge_in
        self._decoder = SoundDecoder(order.sound)
        self._pace = _Pace(order.sound, settings.max_question_s + AHEAD_MARGIN_S)
        rules = EndpointRules(pause_s=order.pause_ms / 1000, longest_s=settings.max_question_s)
        self._endpointer = Endpointer(rules)
        self._answering = Answering(talk, responder_id, language, order.reference)
        self._items: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._question = 0
        self._is_open = False  # a question whose first chunk came
        self._is_stopped = False
        talk.socket.send(
            show(
                "listening", format=order.sound.name, sample_rate=order.sound.sample_rate,
                language=language, responder_id=str(responder_id), barge_in=order.barge_in,
                pause_ms=order.pause_ms, max_question_ms=round(settings.max_question_s * 1000),
            )
        )  # fmt: skip
        self._thread = threading.Thread(target=self._run, name="hearing", daemon=True)
        self._thread.start()

    @property
    def is_busy(self) -> bool:
        """Whether somebody is speaking or waits for an answer."""
        return self._endpointer.is_speaking or self._answering.is_busy

    def take(self, sound: bytes) -> None:
        """Take a binary message. Raises InvalidRequest (half a sample), TooManyRequests."""
        if len(sound) % self._decoder.form.sample_bytes:
            message = "A binary message holds whole samples of 16 bits."
            raise InvalidRequest(message, code="invalid_sound")
        self._pace.take(sound)
        if sound:
            self._put(sound)

    def end_question(self) -> None:
        """The question is over, whatever is heard. Raises TooManyRequests."""
        self._put(partial(self._finish, "client"))

    def drop_answer(self) -> None:
        """Nobody wants the answer that is being made."""
        self._answering.drop()

    def end(self, then: Callable[[], None]) -> None:
        """No sound comes any more: ``then`` is called behind the answers to what came."""

        def last() -> bool:
            self._finish("client")
            self._answering.run_behind(then)
            return True

        self._put(last)

    def stop(self) -> None:
        """End the thread; what is being answered is dropped."""
        self._is_stopped = True
        self._answering.stop()
        self._items.put(lambda: True)

    def _put(self, item: _Item) -> None:
        if self._items.qsize() >= MOST_MESSAGES:
            raise TooManyRequests("Too many messages wait to be heard.", code="sound_too_fast")
        if not self._is_stopped:
            self._items.put(item)

    def _next_item(self) -> _Item:
        while True:
            try:
                return self._items.get(timeout=NO_SOUND_S if self._endpointer.is_speaking else None)
            except queue.Empty:
                if self._talk.socket.is_attached:  # else the rest comes when the client is back
                    return partial(self._finish, "no_sound")

    def _run(self) -> None:
        try:
            while not self._is_stopped:
                item = self._next_item()
                if isinstance(item, bytes):
                    self._hear(item)
                elif item():
                    return
        except SocketClosed:
            pass  # the thread that reads finds out by itself
        except Exception:
            log.exception("hearing_crashed")
            self._talk.socket.close(INTERNAL, "internal_error")
        finally:
            self._is_stopped = True

    def _hear(self, sound: bytes) -> None:
        self._pace.heard(sound)
        for block in self._decoder.decode(sound):
            if self._is_deaf():
                self._is_open = False
                self._endpointer.reset()
                continue
            if not self._is_open:
                self._is_open = True
                self._question += 1
                self._tell("audio_receiving")
            for found in self._endpointer.push(block):
                self._meet(found)

    def _is_deaf(self) -> bool:
        """The device would hear itself, unless it says that it can tell."""
        if self._may_interrupt or self._endpointer.is_speaking:
            return False
        return self._answering.is_busy or self._talk.voicing.is_playing

    def _meet(self, found: Endpoint) -> None:
        if found.kind is EndpointKind.SILENCE:
            self._tell("no_speech")
        elif found.kind is EndpointKind.STARTED:
            self._tell("speech_started")
            if self._may_interrupt and (self._answering.is_busy or self._talk.voicing.is_playing):
                self._talk.interrupt()
        else:
            self._tell("speech_ended", reason=found.kind.value)
            self._ask(found)

    def _finish(self, reason: str) -> bool:
        """The question that is open ends here, whatever is heard; none may be, after a pause."""
        if not self._is_open:
            return False
        found = self._endpointer.finish()
        if found.kind is EndpointKind.SILENCE:
            self._is_open = False
            self._tell("no_speech")
        else:
            self._tell("speech_ended", reason=reason)
            self._ask(found)
        return False

    def _ask(self, found: Endpoint) -> None:
        self._is_open = False
        self._answering.ask(self._question, found.pcm)

    def _tell(self, kind: str, **values: object) -> None:
        self._talk.socket.send(show(kind, question=self._question, **values))


class SoundDecoder:
    """A device's sound as blocks of the rate at which questions are heard. One per stream."""

    def __init__(self, form: SoundForm) -> None:
        self.form = form
        self._resampler = StreamResampler(form.sample_rate, QUESTION_RATE)
        self._law: Law = "alaw" if form.name == "alaw" else "ulaw"

    def decode(self, sound: bytes) -> Iterator[Waveform]:
        """Blocks of a quarter of a second at most, mono."""
        size = round(LARGEST_BLOCK_S * self.form.sample_rate) * self.form.sample_bytes
        for start in range(0, len(sound), size):
            part = sound[start : start + size]
            block = Waveform.from_int16(self._samples(part), self.form.sample_rate)
            if self.form.sample_rate == QUESTION_RATE:
                yield block
            else:
                yield self._resampler.process(block)

    def _samples(self, data: bytes) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        if self.form.name == PCM16:
            return np.frombuffer(data, "<i2").astype(np.int16)
        return decode_g711(data, self._law)


class _Pace:
    """How much sound came faster than it was spoken, and how much was not heard yet."""

    def __init__(self, form: SoundForm, limit_s: float) -> None:
        self._form = form
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._spoken_until = 0.0
        self._unheard_s = 0.0

    def take(self, sound: bytes) -> None:
        """Count sound that came. Raises TooManyRequests (``sound_too_fast``)."""
        duration_s, now = self._form.duration_s(sound), time.monotonic()
        with self._lock:
            self._spoken_until = max(self._spoken_until, now) + duration_s
            self._unheard_s += duration_s
            ahead_s = max(self._spoken_until - now, self._unheard_s)
        if ahead_s > self._limit_s:
            message = f"More than {self._limit_s:.0f} s of sound came faster than it is spoken."
            raise TooManyRequests(message, code="sound_too_fast")

    def heard(self, sound: bytes) -> None:
        """Count sound that was heard."""
        with self._lock:
            self._unheard_s -= self._form.duration_s(sound)
