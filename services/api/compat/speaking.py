"""Orders of the vendors' APIs, spoken in the live lane and heard in the answer.

One place for all routes that answer with speech: ``speak`` waits for the finished job,
``listen`` hands on the audio while it is made. Neither leaves a job behind that nobody waits
for, so that a client may simply send its request again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID

from flask import Response

from mynah.contracts.speech import SpeechRequest
from mynah.contracts.states import ENDED_JOB_STATES, JobState, Lane
from mynah.db.models import Job
from mynah.errors import EngineFailed, MynahError, SpeechTimeout, Unavailable
from services.api.bootstrap import Container
from services.api.compat.formats import VendorFormat
from services.api.downloads import send_object
from services.api.live.answers import answer_stream
from services.api.live.connection import StreamCut
from services.api.live.waiting import wait_until_ended
from services.api.use_cases import speech
from services.api.use_cases.speech_order import SpeechOrder

if TYPE_CHECKING:
    from services.api.live.speech import StorySource

#: What becomes of a stream's bytes on their way: a body of events, or of lines.
Dressing = Callable[[Iterator[bytes]], Iterator[bytes]]
#: How a listener takes a job's audio: bytes, of which the first item holds the first sound.
Listening = Callable[["StorySource"], Iterator[bytes]]


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


def answer_speech(container: Container, spoken: Spoken) -> Response:
    """Answer with audio: as it is spoken where its format can be sent so, else the file."""
    if spoken.format.is_streamed:
        return listen(container, spoken, lambda source: source.stream(is_finished=False))
    return answer_file(container, speak(container, spoken), spoken.format)


def answer_file(container: Container, job: Job, fmt: VendorFormat) -> Response:
    """Answer with a completed job's file."""
    key = speech.finished_output(job)
    if fmt.is_adts:
        from mynah.audio.adts import adts_of  # noqa: PLC0415 - FFmpeg, for those who need it

        with tempfile.TemporaryFile() as file:
            for chunk in container.store.iter_range(key, 0, container.store.stat(key).size_bytes):
                file.write(chunk)
            file.seek(0)
            response = Response(adts_of(file), content_type=fmt.content_type)
    else:
        response = send_object(container.store, key, speech.output_filename(job))
    return _named(response, job)


def listen(
    container: Container,
    spoken: Spoken,
    listening: Listening,
    *,
    dressing: Dressing = iter,
    content_type: str | None = None,
) -> Response:
    """Answer with an order's audio while it is spoken, once the first of it is there.

    The slot is taken before the order is placed and the first sound awaited before the answer
    begins: what is refused leaves no job, what cannot be spoken is an error and no broken
    answer. A listener who leaves ends the job.

    Raises what ``order_speech`` does, TooManyRequests, Unavailable (no slot, or a part of the
    service), EngineFailed.
    """
    give_back = container.slots.take(spoken.requester.user_id)
    job: Job | None = None
    try:
        job = _place(container, spoken)
        heard = _Heard(container, job, listening(_source_of(container, job, spoken)))
        heard.await_sound()
        kind = content_type or spoken.format.content_type
        response = answer_stream(container, job.id, dressing(heard.chunks()), kind, give_back)
    except BaseException:
        give_back()
        if job is not None:
            _cancel(container, job.user_id, job.id)
        raise
    response.call_on_close(heard.close)
    return _named(response, job)


class _Heard:
    """The audio of a job on its way to its only listener."""

    def __init__(self, container: Container, job: Job, source: Iterator[bytes]) -> None:
        self._container, self._job, self._source = container, job, source
        self._start = b""
        self._is_whole = False

    def await_sound(self) -> None:
        """Wait for the first sound. Raises EngineFailed or Unavailable when there will be none."""
        try:
            self._start = next(self._source, b"") + next(self._source, b"")
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
    fmt, order = spoken.format, spoken.order
    order = replace(
        order,
        output_format=fmt.output_format,
        sample_rate=fmt.sample_rate,
        bitrate_kbps=fmt.bitrate_kbps,
    )
    length = len(order.text) + sum(len(line.text) + 1 for line in order.script)
    is_short = length <= container.settings.max_sync_characters
    lane = Lane.LIVE if is_short else Lane.BATCH
    with container.new_uow() as uow:
        job = speech.order_speech(uow, container.settings, spoken.requester, order, lane)
        uow.commit()
        return job


def _source_of(container: Container, job: Job, spoken: Spoken) -> StorySource:
    # numpy, scipy and the encoder: a gateway that nobody listens to starts without them
    from mynah.audio.tags import SpeechTags  # noqa: PLC0415
    from services.api.live.forms import StreamForm  # noqa: PLC0415
    from services.api.live.speech import StorySource  # noqa: PLC0415

    wanted, fmt = SpeechRequest.model_validate(job.request), spoken.format
    with container.new_uow() as uow:
        pieces_total = uow.pieces.count(job.id)
    form = StreamForm(
        fmt.output_format.value,
        fmt.sample_rate,
        wanted.bitrate_kbps,
        SpeechTags(language=wanted.language),
    )
    return StorySource.of_job(container, job, form, pieces_total)


def _named(response: Response, job: Job) -> Response:
    response.headers["X-Job-ID"] = str(job.id)
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
