"""The sound of one WebSocket: a thread that sends what waits, in order, at the device's pace."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass

import structlog

from mynah.audio.live_joining import LiveJoiner
from mynah.audio.tags import SpeechTags
from mynah.errors import MynahError
from services.api.bootstrap import Container
from services.api.live.connection import StreamCut
from services.api.live.forms import StreamEncoder, StreamForm, split_block
from services.api.live.listening import leave, live_parts
from services.api.live.live_job import LiveSource, SpokenPart
from services.api.live.pacing import LOOK_S, QUEUED_S, Line, Pace
from services.api.live.sockets.device_profiles import DeviceProfile
from services.api.live.sockets.messages import END, show
from services.api.live.sockets.session import Session
from services.api.live.sockets.websocket import INTERNAL, SocketClosed
from services.api.use_cases.live_speech import Heard, LiveJob

log = structlog.get_logger(__name__)

MOST_WAITING = 16
_INTERRUPTED = "interrupted"
_UNHEARD = Heard(is_all=False, pieces=0, audio_s=0.0, size_bytes=0)


@dataclass(frozen=True, slots=True)
class SpokenJob:
    """A text that is being spoken, as the client counts them."""

    utterance: int
    job: LiveJob


class Voicing:
    """Sends jobs and marks (``flush``, ``end``) in the order in which they are added."""

    def __init__(
        self,
        container: Container,
        socket: Session,
        profile: DeviceProfile,
        *,
        is_adaptive: bool,
    ) -> None:
        self._container = container
        self._socket = socket
        self._profile = profile
        self._items: deque[SpokenJob | str] = deque()
        self._changed = threading.Condition()
        self._is_busy = False
        self._is_stopped = False
        self._interrupted = threading.Event()
        self._gate = threading.Lock()  # between the last sound and word that it is the last
        self._is_adaptive = is_adaptive and profile.format == "mp3"
        self._form: StreamForm | None = None
        self._pace: Pace | None = None
        self._joiner: LiveJoiner | None = None
        self._encoder: StreamEncoder | None = None
        self._clock = _Clock(profile.ahead_s)
        self._resumed = 0  # times, as far as the pace knows
        self.has_ended = False
        self._thread = threading.Thread(target=self._run, name="voicing", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Jobs and marks that were not heard yet."""
        with self._changed:
            return len(self._items) + self._is_busy

    @property
    def is_busy(self) -> bool:
        """Whether something is being spoken."""
        return self.waiting > 0

    @property
    def is_full(self) -> bool:
        """Whether nothing more may wait."""
        return self.waiting >= MOST_WAITING

    @property
    def is_playing(self) -> bool:
        """Whether the device has something to play, or will have; not after an interruption."""
        prebuffer_s = self._profile.prebuffer_ms / 1000
        is_sounding = self._clock.is_playing(prebuffer_s)
        return not self._interrupted.is_set() and (self.is_busy or is_sounding)

    def add(self, item: SpokenJob | str) -> None:
        """Behind all that waits; behind the end nobody hears it, so it is dropped."""
        with self._changed:
            if not self._is_stopped:
                self._items.append(item)
                self._changed.notify()
                return
        if isinstance(item, SpokenJob):
            leave(self._container, item.job, _UNHEARD)

    def interrupt(self) -> None:
        """Be silent at once; what waits is dropped. ``interrupted`` follows the last sound.

        Raises SocketClosed.
        """
        self._interrupted.set()
        with ExitStack() as leaving, self._gate, self._changed:
            for item in self._items:
                if isinstance(item, SpokenJob):
                    leaving.callback(leave, self._container, item.job, _UNHEARD)
            self._items.clear()
            self._interrupted.set()
            self._items.append(_INTERRUPTED)
            self._changed.notify()
            if not self._is_stopped:
                self._tell_interrupted()

    def stop(self) -> None:
        """End the thread; what is spoken or waits is dropped."""
        self._is_stopped = True
        self.interrupt()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        try:
            while not self._is_stopped and not self.has_ended:
                self._take_next()
        except SocketClosed:
            pass  # the thread that reads finds out by itself
        except Exception:
            log.exception("voicing_crashed")
            self._socket.close(INTERNAL, "internal_error")
        finally:
            self._is_stopped = True

    def _take_next(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._items))
            item = self._items.popleft()
            self._is_busy = True
            if item == _INTERRUPTED:
                self._interrupted.clear()
        try:
            if isinstance(item, SpokenJob):
                self._speak(item)
            elif item == _INTERRUPTED:
                self._encoder = None
                self._clock.reset()
                if self._pace is not None:
                    self._pace.restart()
            else:
                self._finish(item)
        except StreamCut:
            pass  # interrupted, or nobody hears it any more
        finally:
            with self._changed:
                self._is_busy = False

    def _speak(self, item: SpokenJob) -> None:
        settings = self._container.settings
        try:
            joiner, form = self._open(item.job)
        except SocketClosed:
            leave(self._container, item.job, _UNHEARD)
            raise
        source = LiveSource(
            live_parts(self._container), item.job, self._is_silenced, settings.sync_timeout_s
        )
        begun, sent, is_all = joiner.frames, 0, False
        try:
            for part in source.spoken(joiner):
                sent += self._sound(form, part)
                if part.words is not None:
                    self._tell_segment(item, part, form, joiner.frames)
            is_all = True
        except MynahError as error:
            self._tell_failure(item, error)
        finally:
            audio_s = (joiner.frames - begun) / form.sample_rate
            leave(self._container, item.job, Heard(is_all, source.pieces_heard, audio_s, sent))

    def _open(self, job: LiveJob) -> tuple[LiveJoiner, StreamForm]:
        """The stream of this conversation, announced before its first sound."""
        profile = self._profile
        if self._form is None or self._joiner is None:
            rate = profile.sample_rate or job.pieces[0].sample_rate
            self._form = StreamForm(profile.format, rate, profile.bitrate_kbps, SpeechTags())
            loudness_lufs = job.loudness_lufs or self._container.settings.loudness_lufs
            self._joiner = LiveJoiner(loudness_lufs, rate)
            self._announce(profile.bitrate_kbps)
        return self._joiner, self._form

    def _announce(self, bitrate_kbps: int) -> None:
        """Say what the sound is from here on."""
        profile, form = self._profile, self._form
        self._socket.send(
            show(
                "audio_format", format=profile.format, channels=1,
                sample_rate=form.sample_rate if form else None,
                bitrate_kbps=bitrate_kbps if profile.format == "mp3" else None,
                frame_bytes=profile.frame_bytes, prebuffer_ms=profile.prebuffer_ms,
                ahead_ms=round(profile.ahead_s * 1000),
            )
        )  # fmt: skip

    def _new_pace(self, form: StreamForm) -> Pace:
        line = Line(
            self._socket.unsent_bytes,
            self._is_silenced,
            self._container.settings.stream_stall_timeout_s,
            self._socket.drop,
            self._announce,
        )
        bitrates = form.bitrates_kbps if self._is_adaptive else (form.bitrate_kbps,)
        return Pace(bitrates, line)

    def _tell_segment(
        self, item: SpokenJob, part: SpokenPart, form: StreamForm, frames: int
    ) -> None:
        """Say what was heard: a piece, which ends ``frames`` into this connection's sound."""
        self._socket.send(_segment(item, part, form.sample_rate, frames))

    def _tell_failure(self, item: SpokenJob, error: MynahError) -> None:
        """Say that a text will not be heard to its end."""
        self._socket.send(
            show("error", utterance=item.utterance, error_code=error.code, message=error.message)
        )

    def _sound(self, form: StreamForm, part: SpokenPart) -> int:
        """Encode and send; a little at a time, so that an interruption is heard at once."""
        sent = 0
        if self._encoder is None:
            self._encoder = form.switching_encoder() if self._is_adaptive else form.encoder()
        self._pace = self._pace or self._new_pace(form)
        # No more than a device has room for, else as much at a time as costs little each.
        for block in split_block(part.waveform, min(QUEUED_S, self._profile.ahead_s / 10)):
            self._await_turn(self._pace)
            for data in self._pace.encoded(self._encoder, block):
                sent += self._send_bytes(data)
            self._clock.sent(block.duration_s)
        return sent

    def _await_turn(self, pace: Pace) -> None:
        """Wait while the client has enough, or is away. Raises StreamCut."""
        while not (self._socket.is_attached and self._clock.may_send()):
            if self._is_silenced():
                raise StreamCut("interrupted")
            time.sleep(LOOK_S)
        if self._socket.resumed != self._resumed:
            self._resumed = self._socket.resumed
            pace.restart()

    def _send_bytes(self, data: bytes) -> int:
        size = self._profile.frame_bytes
        for start in range(0, len(data), size):
            with self._gate:
                if self._is_silenced():
                    raise StreamCut("interrupted")
                self._socket.send(data[start : start + size])
        return len(data)

    def _finish(self, mark: str) -> None:
        """A mark: the encoder's last bytes, and word that all before it was sent."""
        if self._encoder is not None:
            self._send_bytes(self._encoder.flush())
            self._encoder = None
        self._tell_done(mark)
        self.has_ended = mark == END

    def _tell_interrupted(self) -> None:
        """Say that no old sound follows."""
        self._socket.send(show("interrupted"))

    def _tell_done(self, mark: str) -> None:
        """Say that all before a mark was sent."""
        self._socket.send(show("done", after=mark))

    def _is_silenced(self, within_s: float = 0.0) -> bool:
        """Whether nobody hears what is spoken, now or within so many seconds."""
        return self._interrupted.wait(within_s) or self._is_stopped or not self._socket.is_open


class _Clock:
    """How far the sound has run ahead of its playing."""

    def __init__(self, ahead_s: float) -> None:
        self._ahead_s = ahead_s
        self._plays_until = 0.0

    def may_send(self) -> bool:
        """Whether the device has room."""
        return self._plays_until - time.monotonic() < self._ahead_s

    def is_playing(self, delay_s: float) -> bool:
        """Whether what was sent still sounds on a device that began to play so late."""
        return self._plays_until + delay_s > time.monotonic()

    def sent(self, duration_s: float) -> None:
        """So much sound more; a device that had run dry begins anew."""
        self._plays_until = max(self._plays_until, time.monotonic()) + duration_s

    def reset(self) -> None:
        """The device dropped what it had."""
        self._plays_until = 0.0


def _segment(item: SpokenJob, part: SpokenPart, sample_rate: int, frames: int) -> str:
    """What was said and when, in seconds of this connection's sound."""
    piece, start_s = part.piece, part.start_frame / sample_rate
    spoken_s = start_s - part.lead_trimmed_s
    words = [
        {
            "text": item.job.text[word["source_start"] : word["source_end"]],
            "start_s": round(max(start_s, spoken_s + word["start_s"]), 3),
            "end_s": round(max(start_s, spoken_s + word["end_s"]), 3),
        }
        for word in json.loads(part.words or "[]")
    ]
    return show(
        "segment", utterance=item.utterance, start_s=round(start_s, 3),
        text=item.job.text[piece.source_start : piece.source_end].strip(),
        end_s=round(frames / sample_rate - piece.pause_after_ms / 1000, 3), words=words,
    )  # fmt: skip
