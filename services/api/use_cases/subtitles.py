"""Subtitles of a finished job: its words in the time of its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from mynah.contracts.speech import SpeechRequest, SpokenWord
from mynah.contracts.states import JobState
from mynah.db.models import Job, Piece
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import Conflict, NotFound
from mynah.text.subtitles import Cue, TimedWord, build_cues, show_words
from services.api.use_cases.speech import find_speech_job


@dataclass(frozen=True, slots=True)
class Subtitles:
    """A job, its cues, and its words in seconds of the file with each as it is shown."""

    job: Job
    cues: list[Cue]
    words: list[tuple[TimedWord, str]]


def subtitles_of(uow: UnitOfWork, user_id: UUID, job_id: UUID) -> Subtitles:
    """The subtitles of a user's job.

    Raises NotFound (also ``no_word_times`` for a job from before word times were kept), and
    Conflict while it is not completed.
    """
    job = find_speech_job(uow, user_id, job_id)
    if job.state != JobState.COMPLETED:
        raise Conflict(f"The job is {job.state}; it has no subtitles.", code="job_not_completed")
    request = SpeechRequest.model_validate(job.request)
    words = timed_words((job.result or {}).get("spans"), uow.pieces.of_job(job.id))
    shown = show_words(request.text, words, request.markup)
    cues = build_cues(request.text, words, request.markup)
    return Subtitles(job, cues, list(zip(words, shown, strict=True)))


def timed_words(spans: Sequence[dict[str, Any]] | None, pieces: Sequence[Piece]) -> list[TimedWord]:
    """The words of pieces, moved to where their segments lie (``Span``), within their segments.

    Raises NotFound (``no_word_times``).
    """
    if spans is None or len(spans) != len(pieces) or any(p.words is None for p in pieces):
        raise NotFound("The times of the job's words are not known.", code="no_word_times")
    timed: list[TimedWord] = []
    for span, piece in zip(spans, pieces, strict=True):
        first_s, last_s = float(span["start_s"]), float(span["end_s"])
        offset_s = first_s - float(span["lead_trimmed_s"])
        for document in piece.words or ():
            word = SpokenWord.model_validate(document)
            start_s, end_s = (
                min(max(offset_s + time_s, first_s), last_s)
                for time_s in (word.start_s, word.end_s)
            )
            timed.append(TimedWord(start_s, end_s, word.source_start, word.source_end))
    return timed
