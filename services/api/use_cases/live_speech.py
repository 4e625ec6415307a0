"""Live speech: ordered for one listener, paid as far as it was spoken to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from mynah.contracts.speech import PieceSpeech
from mynah.contracts.states import OPEN_JOB_STATES, JobKind, Lane
from mynah.db.models import Job, Piece
from mynah.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from mynah.engines.catalog import engine_info
from mynah.errors import BrokerUnavailable
from mynah.jobs.transitions import cancel_job
from mynah.settings import Settings
from services.api.use_cases.speech import Requester, place_live_speech, prepare_speech
from services.api.use_cases.speech_order import SpeechOrder


@dataclass(frozen=True, slots=True)
class LivePiece:
    """A piece as its listener needs it; ``sample_rate`` is its engine's."""

    step_id: UUID
    text: str
    voice: str
    pause_after_ms: int
    sample_rate: int
    source_start: int
    source_end: int


@dataclass(frozen=True, slots=True)
class LiveJob:
    """A job that one listener hears while it is spoken. ``is_kept``: it is an ordinary one.

    ``ends_with_listener``: it is cancelled when they leave. ``text`` is what its pieces point into.
    """

    id: UUID
    text: str
    voice_id: UUID
    language: str
    title: str | None
    pieces: tuple[LivePiece, ...]
    is_kept: bool
    ends_with_listener: bool
    bitrate_kbps: int
    loudness_lufs: float | None


@dataclass(frozen=True, slots=True)
class Heard:
    """How much a listener got: pieces begun, seconds of audio, bytes; whether that was all."""

    is_all: bool
    pieces: int
    audio_s: float
    size_bytes: int


def order_live(
    new_uow: UnitOfWorkFactory,
    settings: Settings,
    want: Callable[[UUID], None],
    requester: Requester,
    order: SpeechOrder,
    *,
    is_kept: bool,
    ends_with_listener: bool = True,
) -> LiveJob:
    """Make a job of the live lane and send it to the workers.

    Of a kept job ``want`` tells them that somebody listens. One that is not kept ends with its
    listener, who does not outlive the database either: its order does not wait for the disk.

    Raises what ``prepare_speech``, ``place_live_speech`` and ``want`` raise, BrokerUnavailable.
    """
    kind = JobKind.SPEECH if is_kept else JobKind.LIVE
    with new_uow() as uow:
        uow.each_by_itself()
        prepared = prepare_speech(uow, settings, requester, order, Lane.LIVE, kind=kind)
        if is_kept:
            want(prepared.job.id)
        pieces = place_live_speech(uow, settings, requester, prepared, is_durable=is_kept)
        is_sent = uow.commit()
    if not is_sent and not is_kept:
        _take_back(new_uow, prepared.job.id)  # its listener would wait for the sweeper
        raise BrokerUnavailable
    job, request = prepared.job, prepared.job.request
    return LiveJob(
        id=job.id,
        text=request["text"],
        voice_id=order.voice_id,
        language=request["language"],
        title=request["title"],
        pieces=tuple(_live_piece(piece) for piece in pieces),
        is_kept=is_kept,
        ends_with_listener=ends_with_listener,
        bitrate_kbps=request["bitrate_kbps"],
        loudness_lufs=request["loudness_lufs"],
    )


def _take_back(new_uow: UnitOfWorkFactory, job_id: UUID) -> None:
    with new_uow() as uow:
        row = uow.jobs.locked(job_id)
        if row is not None and row.state in OPEN_JOB_STATES:
            cancel_job(uow, row)
        uow.commit()


def end_live(uow: UnitOfWork, job: LiveJob, heard: Heard) -> None:
    """The listener has left or heard all. The caller commits.

    What was not begun is not spoken, and its characters are given back, unless the job goes on
    without listeners. One that is kept and was heard to its end counts what it used by itself.
    """
    if not job.ends_with_listener or (job.is_kept and heard.is_all):
        return
    row = uow.jobs.locked(job.id)
    if row is None:
        return
    # After all was heard the last piece is still being put away.
    if row.state in OPEN_JOB_STATES and not heard.is_all:
        _cancel_rest(uow, row, job, heard.pieces)
    row.actual_duration_s = round(heard.audio_s, 3)
    uow.usage.record_output(
        row.user_id,
        str(row.usage_period),
        audio_s=heard.audio_s,
        cost=_cost(row, job, heard.pieces),
        output_bytes=heard.size_bytes,
        saved_bytes=0,
    )


def _cancel_rest(uow: UnitOfWork, row: Job, job: LiveJob, pieces: int) -> None:
    begun = min(row.characters, round(row.characters * _share(job, pieces)))
    row.characters -= begun
    cancel_job(uow, row)
    row.characters = begun


def _cost(row: Job, job: LiveJob, pieces: int) -> float:
    return round((row.estimated_cost or 0.0) * _share(job, pieces), 6)


def _share(job: LiveJob, pieces: int) -> float:
    """How much of the text the first so many pieces are, 0-1."""
    lengths = [len(piece.text) for piece in job.pieces]
    return sum(lengths[:pieces]) / max(1, sum(lengths))


def _live_piece(piece: Piece) -> LivePiece:
    speech = PieceSpeech.model_validate(piece.speech)
    return LivePiece(
        step_id=piece.step_id,
        text=piece.text,
        voice=str(speech.voice_id),
        pause_after_ms=piece.pause_after_ms,
        sample_rate=engine_info(speech.engine).sample_rate,
        source_start=piece.source_start,
        source_end=piece.source_end,
    )
