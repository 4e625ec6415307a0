"""Orders of the vendors' APIs, spoken in the live lane and heard in the answer.

One place for all routes that answer with speech: ``speak`` waits for the finished job,
``listen`` hands on the audio while it is made: as live speech, and a text that is too long for
that as a story. Neither leaves a job behind that nobody waits for, so that a client may simply
send its request again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID

from flask import Response

from mynah.audio.spool import open_spool
from mynah.contracts.speech import SpeechRequest
from mynah.contracts.states import ENDED_JOB_STATES, JobState, Lane
from mynah.db.models import Job
from mynah.errors import EngineFailed, MynahError, SpeechTimeout, Unavailable
from mynah.storage.fetching import fetch_into
from services.api.bootstrap import Container
from services.api.compat.formats import VendorFormat
from services.api.compat.timing import LiveLines, story_lines
from services.api.downloads import send_object
from services.api.live.answers import answer_stream
from services.api.live.connection import StreamCut
from services.api.live.waiting import wait_until_ended
from services.api.use_cases import speech
from services.api.use_cases.live_speech import LiveJob
from services.api.use_cases.speech_order import SpeechOrder

if TYPE_CHECKING:
    from services.api.live.forms import StreamForm
    from services.api.live.speech import StorySource

#: What becomes of a stream's bytes on their way.
Dressing = Callable[[Iterator[bytes]], Iterator[bytes]]
#: A job, its audio as it is spoken, and what ends both.
_Stream = tuple[UUID, Iterator[bytes], Callable[[], None]]


@dataclass(frozen=True, slots=True)
class Spoken:
    """An order of a vendor's API: on whose behalf, what, and in which of the vendor's formats."""

    requester: speech.Requester
    order: SpeechOrder
    format: VendorFormat


def speak(container: Container, spoken: Spoken) -> Job:
    """Have an order spoken and wait for it: its completed job.

    Raises what ``order_speech`` does, EngineFailed, and SpeechTimeout; the job is cancelled then.
    """
    job = _place(container, spoken)
    try:
        ended = wait_until_ended(container, job.id)
    except SpeechTimeout:
        _cancel(container, spoken.requester.user_id, job.id)
        raise SpeechTimeout("The speech was not ready in time.") from None
    if ended.state != JobState.COMPLETED:
        raise _failure_of(ended)
    return ended


def answer_file(container: Container, job: Job, fmt: VendorFormat) -> Response:
    """Answer with a completed job's file."""
    key = speech.finished_output(job)
    if fmt.is_adts:
        from mynah.audio.adts import adts_of  # noqa: PLC0415 - FFmpeg, for those who need it

        with open_spool() as file:
            fetch_into(container.store, key, file)
            response = Response(adts_of(file), content_type=fmt.content_type)
    else:
        response = send_object(container.store, key, speech.output_filename(job))
    return _named(response, job.id)


def listen(
    container: Container,
    spoken: Spoken,
    *,
    is_timed: bool = False,
    dressing: Dressing = iter,
    content_type: str | None = None,
) -> Response:
    """Answer with an order's audio while it is spoken, once the first of it is there.

    ``is_timed``: in lines of JSON with the characters' times. The slot is taken before the order
    is placed and the first sound awaited before the answer begins: what is refused leaves no job,
    what cannot be spoken is an error and no broken answer. A listener who leaves ends the job.

    Raises what ``order_speech`` and LiveSource do, TooManyRequests, Unavailable (no slot, or a
    part of the service).
    """
    is_live = _lane_of(container, spoken.order) is Lane.LIVE
    stream = _live_stream if is_live else _story_stream
    job_id, body, close = stream(container, spoken, is_timed)
    kind = content_type or spoken.format.content_type
    return _named(answer_stream(container, job_id, dressing(body), kind, close), job_id)


def _live_stream(container: Container, spoken: Spoken, is_timed: bool) -> _Stream:
    """Block by block; leaving stops the engine in the middle of a piece."""
    # numpy, scipy and the encoder: a gateway that nobody listens to starts without them
    from services.api.live.listening import Show, open_live  # noqa: PLC0415

    def timed(job: LiveJob, form: StreamForm) -> Show:
        return LiveLines(job, spoken.order.script, form.sample_rate).show

    opened = open_live(
        container,
        spoken.requester,
        _formatted(spoken),
        is_kept=True,
        stream_format=spoken.format.stream_format,
        is_adaptive=spoken.format.is_adaptive,
        show=timed if is_timed else None,
    )
    return opened.job.id, opened.body, opened.close


def _story_stream(container: Container, spoken: Spoken, is_timed: bool) -> _Stream:
    """Piece by piece, of a text that is longer than live speech may be."""
    with ExitStack() as ending:
        ending.callback(container.slots.take(spoken.requester.user_id))
        job = _place(container, spoken)
        heard = _Heard(container, job)
        ending.callback(heard.close)
        source = _source_of(container, job, spoken)
        heard.await_sound(story_lines(source) if is_timed else source.stream(is_finished=False))
        return job.id, heard.chunks(), ending.pop_all().close


class _Heard:
    """The audio of a job on its way to its only listener."""

    def __init__(self, container: Container, job: Job) -> None:
        self._container, self._job = container, job
        self._source: Iterator[bytes] = iter(())
        self._start = b""
        self._is_whole = False

    def await_sound(self, source: Iterator[bytes]) -> None:
        """Wait for the first sound, which is in the first or second item of ``source``.

        Raises EngineFailed or Unavailable when there will be none.
        """
        self._source = source
        try:
            self._start = next(source, b"") + next(source, b"")
        except StreamCut as cut:
            with self._container.new_uow() as uow:
                ended = uow.jobs.by_id(self._job.id)
            raise _failure_of(ended) from cut

    def chunks(self) -> Iterator[bytes]:
        """All of the audio."""
        yield self._start
        yield from self._source
        self._is_whole = True

    def close(self) -> None:
        """End the job unless all of it was heard."""
        if not self._is_whole:
            _cancel(self._container, self._job.user_id, self._job.id)


def _place(container: Container, spoken: Spoken) -> Job:
    """Place an order: before batch work, unless it is as long as such."""
    order, lane = _formatted(spoken), _lane_of(container, spoken.order)
    with container.new_uow() as uow:
        job = speech.order_speech(uow, container.settings, spoken.requester, order, lane)
        uow.commit()
        return job


def _formatted(spoken: Spoken) -> SpeechOrder:
    fmt = spoken.format
    return replace(
        spoken.order,
        output_format=fmt.output_format,
        sample_rate=fmt.sample_rate,
        bitrate_kbps=fmt.bitrate_kbps,
    )


def _lane_of(container: Container, order: SpeechOrder) -> Lane:
    length = len(order.text) + sum(len(line.text) + 1 for line in order.script)
    return Lane.LIVE if length <= container.settings.max_sync_characters else Lane.BATCH


def _source_of(container: Container, job: Job, spoken: Spoken) -> StorySource:
    # numpy, scipy and the encoder: a gateway that nobody listens to starts without them
    from mynah.audio.tags import SpeechTags  # noqa: PLC0415
    from services.api.live.forms import StreamForm  # noqa: PLC0415
    from services.api.live.speech import StorySource  # noqa: PLC0415

    wanted, fmt = SpeechRequest.model_validate(job.request), spoken.format
    with container.new_uow() as uow:
        pieces_total = uow.pieces.count(job.id)
    form = StreamForm(
        fmt.stream_format,
        fmt.sample_rate,
        wanted.bitrate_kbps,
        SpeechTags(language=wanted.language),
    )
    is_adaptive = fmt.is_adaptive
    return StorySource.of_job(container, job, form, pieces_total, is_adaptive=is_adaptive)


def _named(response: Response, job_id: UUID) -> Response:
    response.headers["X-Job-ID"] = str(job_id)
    return response


def _failure_of(job: Job) -> MynahError:
    if job.state not in ENDED_JOB_STATES:
        return Unavailable("The speech broke off.")
    return EngineFailed(job.error_message or f"The job was {job.state}.", code=job.error_code)


def _cancel(container: Container, user_id: UUID, job_id: UUID) -> None:
    """Cancel a job; one that ended in between stays as it is."""
    with suppress(MynahError), container.new_uow() as uow:
        speech.cancel_speech_job(uow, user_id, job_id)
        uow.commit()
