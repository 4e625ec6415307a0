"""A job's speech for one listener, in order and without gaps, while it is still being made.

Segments are joined as the finished file's are, by an encoder of the listener's own. They are
removed a while after the job's end; whoever listens more slowly goes on from the finished file,
at the sample at which the segments ended.

This module brings numpy, scipy and the encoder: the gateway imports it after its start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from uuid import UUID

from mynah.audio.assembly import SpeechAssembler
from mynah.audio.finished import iter_file_blocks
from mynah.audio.flac import decode_flac
from mynah.audio.formats import OutputLayout
from mynah.audio.resample import StreamResampler
from mynah.audio.spool import open_spool
from mynah.audio.waveform import Waveform
from mynah.contracts.speech import OutputFormat, SpeechRequest
from mynah.contracts.states import JobState
from mynah.db.models import Job
from mynah.db.repositories.jobs import JobFigures
from mynah.db.repositories.steps import SpokenPiece
from mynah.db.unit_of_work import UnitOfWorkFactory
from mynah.errors import MynahError, NotFound, Unavailable
from mynah.storage.base import ObjectStore
from mynah.storage.fetching import fetch_into
from services.api.bootstrap import Container
from services.api.live.answers import listener_connection
from services.api.live.connection import Connection, StreamCut
from services.api.live.forms import StreamForm, split_block
from services.api.live.pacing import encoding_for
from services.api.live.watching import JobWatcher

LOOK_FOR_LEAVERS_S = 0.5
PATIENCE_S = 30.0
CHUNK_S = 1.0

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class StorySource:
    """Where one listener's story comes from, and in which form it goes.

    ``is_adaptive``: an MP3's bitrate follows the listener's connection.
    """

    new_uow: UnitOfWorkFactory
    store: ObjectStore
    watcher: JobWatcher
    connection: Connection
    job_id: UUID
    pieces_total: int
    form: StreamForm
    loudness_lufs: float
    is_adaptive: bool

    @classmethod
    def of_job(
        cls,
        container: Container,
        job: Job,
        form: StreamForm,
        pieces_total: int,
        *,
        is_adaptive: bool,
    ) -> StorySource:
        """The source of a job's story for the listener of this request."""
        loudness_lufs = SpeechRequest.model_validate(job.request).loudness_lufs
        return cls(
            new_uow=container.new_uow,
            store=container.store,
            watcher=container.watcher,
            connection=listener_connection(container),
            job_id=job.id,
            pieces_total=pieces_total,
            form=form,
            loudness_lufs=loudness_lufs or container.settings.loudness_lufs,
            is_adaptive=is_adaptive and form.has_bitrates,
        )

    def stream(self, *, is_finished: bool) -> Iterator[bytes]:
        """The encoded story, from the finished file or as it comes.

        The first item, which may be empty, is there at once: with it the answer begins.

        Raises StreamCut when the job fails, is cancelled or loses its audio on the way, and when
        the listener leaves.
        """
        yield self.form.start()
        encode, encoder = encoding_for(self.form, self.connection, is_adaptive=self.is_adaptive)
        blocks = self.finished(0) if is_finished else self.blocks(self.assembler())
        try:
            for block in blocks:
                for part in split_block(block, CHUNK_S):
                    yield from filter(None, encode(part))
            if rest := encoder.flush():
                yield rest
        except MynahError as error:
            raise StreamCut(error.code) from error

    def assembler(self) -> SpeechAssembler:
        """What joins the pieces for this listener."""
        return SpeechAssembler(self.loudness_lufs, self.form.sample_rate)

    def blocks(self, assembler: SpeechAssembler) -> Iterator[Waveform]:
        """The story piece by piece as they are spoken, then what the finished file has more.

        After each piece the assembler knows where it lies; what comes from the file adds none.
        """
        frames = 0
        for piece in self._pieces():
            segment = self._patiently(partial(self._segment, str(piece.segment_key)))
            if segment is None:
                yield from self.finished(frames)
                return
            block = assembler.add(segment, piece.pause_after_ms)
            frames += block.frames
            yield block

    def finished(self, skip_frames: int) -> Iterator[Waveform]:
        """The finished file from a frame of the stream on. Raises NotFound once it is removed."""
        with self.new_uow() as uow:
            job = uow.jobs.by_id(self.job_id)
        key = job.output_key
        if key is None:
            raise NotFound("The output is gone.", code="output_expired")
        with open_spool() as file:
            fetch_into(self.store, key, file)
            for block in self._resampled(iter_file_blocks(file, _layout_of(job))):
                skipped = min(skip_frames, block.frames)
                skip_frames -= skipped
                yield Waveform(block.samples[skipped:], block.sample_rate)

    def _resampled(self, blocks: Iterator[Waveform]) -> Iterator[Waveform]:
        resampler: StreamResampler | None = None
        for block in blocks:
            mono = block.to_mono()
            if mono.sample_rate == self.form.sample_rate:
                yield mono
                continue
            resampler = resampler or StreamResampler(mono.sample_rate, self.form.sample_rate)
            yield resampler.process(mono)
        if resampler is not None:
            yield resampler.flush()

    def _pieces(self) -> Iterator[SpokenPiece]:
        """The pieces in order, each once it is spoken; asks again after a change only."""
        ordinal, left, is_due = -1, self.pieces_total, True
        with self.watcher.watching(self.job_id) as watch:
            while left:
                piece = self._patiently(partial(self._spoken_after, ordinal)) if is_due else None
                if piece is not None:
                    yield piece
                    ordinal, left = piece.ordinal, left - 1
                figures = watch.next(0.0 if piece else LOOK_FOR_LEAVERS_S)
                is_due = piece is not None or figures is not None
                self._ensure_goes_on(figures)

    def _spoken_after(self, ordinal: int) -> SpokenPiece | None:
        with self.new_uow() as uow:
            following = uow.pieces.after(self.job_id, ordinal, 1)
        return following[0] if following and following[0].segment_key is not None else None

    def _segment(self, key: str) -> Waveform | None:
        try:
            return decode_flac(self.store.get(key))
        except NotFound:
            return None

    def _patiently(self, ask: Callable[[], _T]) -> _T:
        """Ask again while a part is away for a moment: a listener cannot begin in the middle."""
        given_up_at = time.monotonic() + PATIENCE_S
        while True:
            try:
                return ask()
            except Unavailable:
                if time.monotonic() > given_up_at or self.connection.is_gone():
                    raise
                time.sleep(LOOK_FOR_LEAVERS_S)

    def _ensure_goes_on(self, figures: JobFigures | None) -> None:
        if figures is not None and figures.state in (JobState.FAILED, JobState.CANCELLED):
            raise StreamCut(f"job {figures.state}")
        if self.connection.is_gone():
            raise StreamCut("listener left")


def _layout_of(job: Job) -> OutputLayout:
    """What a finished job's file is."""
    request, facts = SpeechRequest.model_validate(job.request), job.result or {}
    made = OutputFormat(str(job.output_format))
    return OutputLayout.of_output(request, made, facts["sample_rate"], facts["channels"])
