"""One listener of a live job: encoded for them alone, cancelled when they leave.

This module brings numpy, scipy and the encoder: the gateway imports it after its start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import structlog

from mynah.audio.live_joining import LiveJoiner
from mynah.audio.tags import SpeechTags
from mynah.errors import MynahError
from services.api.bootstrap import Container
from services.api.live.answers import listener_connection
from services.api.live.connection import Connection, StreamCut
from services.api.live.forms import StreamForm
from services.api.live.live_job import LiveParts, LiveSource, SpokenPart
from services.api.live.pacing import encoding_for
from services.api.use_cases.live_speech import Heard, LiveJob, end_live, order_live
from services.api.use_cases.speech import Requester
from services.api.use_cases.speech_order import SpeechOrder

log = structlog.get_logger(__name__)

#: What is sent of encoded sound and the part that it came with; None: of the stream's end.
Show = Callable[[bytes, SpokenPart | None], bytes]


def show_sound(data: bytes, _: SpokenPart | None) -> bytes:
    """Nothing but the sound."""
    return data


@dataclass(slots=True)
class LiveListener:
    """Who hears one live job over HTTP. ``is_adaptive``: an MP3's bitrate follows them."""

    container: Container
    job: LiveJob
    form: StreamForm
    connection: Connection
    is_adaptive: bool
    show: Show = show_sound
    _source: LiveSource = field(init=False)
    _joiner: LiveJoiner = field(init=False)
    _sent_bytes: int = 0
    _is_over: bool = False

    def __post_init__(self) -> None:
        settings = self.container.settings
        loudness_lufs = self.job.loudness_lufs or settings.loudness_lufs
        self._joiner = LiveJoiner(loudness_lufs, self.form.sample_rate)
        self._source = LiveSource(
            live_parts(self.container), self.job, self.connection.is_gone, settings.sync_timeout_s
        )

    def body(self) -> Iterator[bytes]:
        """The encoded speech. Its first bytes of audio are there when this returns.

        Raises what LiveSource does, as long as nothing was sent; the body StreamCut.
        """
        chunks = self._chunks()
        first = next(chunks)
        return self._rest(first, chunks)

    def close(self) -> None:
        """The end, however it came: what nobody will hear is not spoken. Never raises."""
        heard = Heard(
            self._is_over,
            self._source.pieces_heard,
            self._joiner.frames / self.form.sample_rate,
            self._sent_bytes,
        )
        leave(self.container, self.job, heard)

    def _chunks(self) -> Iterator[bytes]:
        encode, encoder = encoding_for(self.form, self.connection, is_adaptive=self.is_adaptive)
        waiting, has_audio = self.form.start(), False
        for part in self._source.spoken(self._joiner):
            for data in encode(part.waveform):
                sound = waiting + data if data else b""
                if sound:
                    waiting, has_audio = b"", True
                if shown := self.show(sound, part):
                    yield shown
        self._is_over = True
        rest = waiting + (encoder.flush() if has_audio or self._joiner.frames else b"")
        if rest or not has_audio:
            yield self.show(rest, None)

    def _rest(self, first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield self._counted(first)
            for chunk in chunks:
                yield self._counted(chunk)
        except MynahError as error:
            raise StreamCut(error.code) from error

    def _counted(self, chunk: bytes) -> bytes:
        self._sent_bytes += len(chunk)
        return chunk


@dataclass(frozen=True, slots=True)
class OpenedStream:
    """A live job whose first sound is there. ``close`` ends it and gives back its slot."""

    job: LiveJob
    form: StreamForm
    body: Iterator[bytes]
    close: Callable[[], None]


def open_live(
    container: Container,
    asker: Requester,
    order: SpeechOrder,
    *,
    is_kept: bool,
    ends_with_listener: bool = True,
    stream_format: str | None = None,
    is_adaptive: bool = False,
    show: Callable[[LiveJob, StreamForm], Show] | None = None,
) -> OpenedStream:
    """Take a slot, place an order, and wait for its first sound, for this request's listener.

    ``stream_format``: what is sent, if not what is ordered. ``is_adaptive``: an MP3's bitrate
    follows the listener's connection.

    Raises what StreamSlots, ``order_live`` and LiveSource do; nothing is left behind then.
    """
    with ExitStack() as ending:
        ending.callback(container.slots.take(asker.user_id))
        job = order_live(
            container.new_uow,
            container.settings,
            container.live.want,
            asker,
            order,
            is_kept=is_kept,
            ends_with_listener=ends_with_listener,
        )
        form = live_form(job, stream_format or order.output_format.value, order.sample_rate)
        connection = listener_connection(container)
        shown = show(job, form) if show else show_sound
        is_adaptive = is_adaptive and form.has_bitrates
        listener = LiveListener(container, job, form, connection, is_adaptive, shown)
        ending.callback(listener.close)
        return OpenedStream(job, form, listener.body(), ending.pop_all().close)


def live_parts(container: Container) -> LiveParts:
    """What live speech needs of the gateway."""
    return LiveParts(
        container.new_uow, container.store, container.watcher, container.live, container.slots
    )


def live_form(job: LiveJob, fmt: str, sample_rate: int | None) -> StreamForm:
    """How a job's listener gets it; at the engine's own rate unless asked otherwise."""
    rate = sample_rate or job.pieces[0].sample_rate
    tags = SpeechTags(title=job.title or "", language=job.language)
    return StreamForm(fmt, rate, job.bitrate_kbps, tags)


def leave(container: Container, job: LiveJob, heard: Heard) -> None:
    """End a job whose listener is no more; its workers stop within a block. Never raises."""
    try:
        if job.ends_with_listener and not heard.is_all:
            container.live.leave(job.id, [piece.step_id for piece in job.pieces])
    except MynahError as error:
        log.warning("workers_not_told", job_id=str(job.id), error_code=error.code)
    try:
        with container.new_uow() as uow:
            end_live(uow, job, heard)
            uow.commit()
    except MynahError as error:
        log.warning("live_job_not_ended", job_id=str(job.id), error_code=error.code)
