"""A live job's speech for its one listener: in order, while its pieces are being spoken.

Blocks come by Redis from the workers. Where they do not (Redis lost them, the piece is spoken
again, nobody told) the piece goes on from its finished segment, at the sample that comes next.

This module brings numpy, scipy and the encoder: the gateway imports it after its start.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import structlog

from mynah.audio.flac import decode_flac
from mynah.audio.live_joining import LiveJoiner
from mynah.audio.waveform import Waveform
from mynah.contracts.states import JobState
from mynah.db.unit_of_work import UnitOfWorkFactory
from mynah.errors import BrokerUnavailable, Conflict, EngineFailed, SpeechTimeout, Unavailable
from mynah.messaging.live import START, LiveBlock, LiveReader
from mynah.storage.base import ObjectStore
from services.api.live.connection import StreamCut
from services.api.live.forms import split_block
from services.api.live.lead import Lead
from services.api.live.slots import StreamSlots
from services.api.live.turns import TURNS
from services.api.live.watching import JobWatcher, Watch
from services.api.use_cases.live_speech import LiveJob, LivePiece

log = structlog.get_logger(__name__)

LOOK_S = 0.1
TOGETHER_S = 1.0  # of speech, the most that is joined and encoded at a time
_WANT_AGAIN_S = 5.0
_FRAME_BYTES = 2


@dataclass(frozen=True, slots=True)
class SpokenPart:
    """The next samples of a job; with the last ones of a piece, what was said and when.

    ``words``: a JSON list of ``SpokenWord``, of the piece by itself. ``start_frame``: where the
    piece began in the stream, ``lead_trimmed_s``: how much of its start is not in there.
    """

    waveform: Waveform
    piece: LivePiece
    words: str | None = None
    start_frame: int = 0
    lead_trimmed_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LiveParts:
    """The gateway's parts that live speech needs."""

    new_uow: UnitOfWorkFactory
    store: ObjectStore
    watcher: JobWatcher
    reader: LiveReader
    slots: StreamSlots


@dataclass(slots=True)
class LiveSource:
    """One live job for its listener.

    ``is_gone`` waits so many seconds for the listener to leave, and says whether they did;
    ``patience_s``: how long nothing may come.
    """

    parts: LiveParts
    job: LiveJob
    is_gone: Callable[[float], bool]
    patience_s: float
    pieces_heard: int = 0
    _wanted_at: float = field(default_factory=time.monotonic)
    _lead: Lead = field(default_factory=Lead)

    def spoken(self, joiner: LiveJoiner) -> Iterator[SpokenPart]:
        """The job's speech, joined.

        Raises StreamCut when the listener leaves, SpeechTimeout when nothing comes for too long,
        EngineFailed, Conflict (cancelled), NotFound (a piece that was swept).
        """
        # Not at once: the processors have the first sound to make.
        with self.parts.watcher.watching(self.job.id, at_once=False) as watch:
            for piece in self.job.pieces:
                stream, start = _PieceStream(piece), joiner.frames
                joiner.begin_piece(piece.voice)
                self.pieces_heard += 1
                for block in self._blocks(stream, watch):
                    with TURNS.turn(self._lead.dry_at):
                        joined = joiner.add(block)
                    yield SpokenPart(joined, piece)
                rest = joiner.end_piece(piece.pause_after_ms)
                yield SpokenPart(rest, piece, stream.words, start, joiner.lead_trimmed_s)
                self._forget(piece)

    def _blocks(self, stream: _PieceStream, watch: Watch) -> Iterator[Waveform]:
        """A piece as it is spoken, every sample once."""
        heard_at = time.monotonic()
        while not stream.is_over:
            if self.is_gone(self._lead.rest_s(self.parts.slots.taken)):
                raise StreamCut("listener left")
            blocks = self._read(stream)
            for fresh in stream.take_all(blocks):
                heard_at = time.monotonic()
                yield fresh
                self._lead.give(fresh.duration_s)
            if blocks and not stream.has_gap:
                continue
            stream.may_be_stored |= self._has_changed(watch)
            if stream.may_be_stored and (rest := self._rest(stream)) is not None:
                for part in split_block(rest, TOGETHER_S):
                    yield part
                    self._lead.give(part.duration_s)
            elif time.monotonic() - heard_at > self.patience_s:
                raise SpeechTimeout("Nobody spoke in time.")

    def _read(self, stream: _PieceStream) -> list[LiveBlock]:
        """What the workers told; after a gap only the segment helps."""
        self._say_again()
        if stream.has_gap:
            time.sleep(LOOK_S)
            return []
        try:
            return self.parts.reader.read(stream.piece.step_id, stream.after, LOOK_S)
        except BrokerUnavailable:
            time.sleep(LOOK_S)
            return []

    def _say_again(self) -> None:
        """Redis may have forgotten that somebody listens to a job that goes on without them."""
        if self.job.is_kept and time.monotonic() - self._wanted_at > _WANT_AGAIN_S:
            self._wanted_at = time.monotonic()
            try:
                self.parts.reader.want(self.job.id)
            except BrokerUnavailable:
                log.warning("live_job_not_wanted", job_id=str(self.job.id))

    def _has_changed(self, watch: Watch) -> bool:
        """Whether the job went on. Raises Conflict, EngineFailed, NotFound when it will not."""
        figures = watch.next(0.0)
        if figures is not None and figures.state == JobState.CANCELLED:
            raise Conflict("The job was cancelled.", code="job_cancelled")
        if figures is not None and figures.state == JobState.FAILED:
            with self.parts.new_uow() as uow:
                job = uow.jobs.by_id(self.job.id)
            raise EngineFailed(job.error_message or "The job failed.", code=job.error_code)
        return figures is not None

    def _rest(self, stream: _PieceStream) -> Waveform | None:
        """What the finished segment has more; None while there is none.

        Raises NotFound when it was swept: the listener was slower than its retention.
        """
        try:
            with self.parts.new_uow() as uow:
                row = uow.pieces.of_step(stream.piece.step_id)
            if row is None or row.segment_key is None:
                stream.may_be_stored = False
                return None
            segment = decode_flac(self.parts.store.get(row.segment_key))
        except Unavailable:
            return None
        return stream.finish_with(segment, row.words or [])

    def _forget(self, piece: LivePiece) -> None:
        try:
            self.parts.reader.forget(piece.step_id)
        except BrokerUnavailable:
            log.warning("live_piece_not_forgotten")  # it expires by itself


@dataclass(slots=True)
class _PieceStream:
    """How much of a piece was heard, in frames of its engine."""

    piece: LivePiece
    after: str = START
    position: int = 0
    attempt: int = 0
    has_gap: bool = False
    is_over: bool = False
    may_be_stored: bool = True  # whether it is worth a look
    words: str = "[]"

    def take_all(self, blocks: list[LiveBlock]) -> Iterator[Waveform]:
        """The samples that were not heard yet; short blocks together, which is less work."""
        fresh, size = [], 0
        for block in blocks:
            fresh.append(self._take(block))
            size += len(fresh[-1])
            if size >= self.piece.sample_rate * _FRAME_BYTES * TOGETHER_S:
                yield self._waveform(b"".join(fresh))
                fresh, size = [], 0
        if size:
            yield self._waveform(b"".join(fresh))

    def _take(self, block: LiveBlock) -> bytes:
        """The samples of a block that were not heard yet.

        A later attempt says the same again, an earlier one may still be talking; what lies
        behind a gap is of no use.
        """
        self.after = block.id
        if block.attempt < self.attempt or self.has_gap or self.is_over:
            return b""
        self.attempt = block.attempt
        self.has_gap = block.offset > self.position
        if self.has_gap:
            return b""
        if block.is_end:
            self.is_over, self.words = True, block.words
            return b""
        fresh = block.pcm[(self.position - block.offset) * _FRAME_BYTES :]
        self.position += len(fresh) // _FRAME_BYTES
        return fresh

    def finish_with(self, segment: Waveform, words: list[dict[str, object]]) -> Waveform:
        """The rest of the piece from its segment."""
        self.is_over, self.words = True, json.dumps(words)
        rest = segment.samples[self.position :]
        self.position = max(self.position, segment.frames)
        return Waveform(rest, segment.sample_rate)

    def _waveform(self, pcm: bytes) -> Waveform:
        samples = np.frombuffer(pcm, "<i2")
        return Waveform.from_int16(samples, self.piece.sample_rate)
