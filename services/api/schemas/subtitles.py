"""Schemas of subtitles and reports."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from mynah.contracts.speech import PieceReport
from mynah.db.models import Piece
from services.api.schemas.common import RequestSchema
from services.api.use_cases.subtitles import Subtitles

SUBTITLE_TYPES = {
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
    "json": "application/json",
}


class SubtitleQuerySchema(RequestSchema):
    """Which form of subtitles."""

    format = fields.String(load_default="srt", validate=validate.OneOf(tuple(SUBTITLE_TYPES)))


class CueSchema(Schema):
    """What is shown for a while."""

    start_s = fields.Float(required=True)
    end_s = fields.Float(required=True)
    lines = fields.List(fields.String(), required=True)


class WordSchema(Schema):
    """A spoken word; ``source_start`` and ``source_end`` are its characters in the job's text."""

    start_s = fields.Float(required=True)
    end_s = fields.Float(required=True)
    text = fields.String(required=True)
    source_start = fields.Integer(required=True)
    source_end = fields.Integer(required=True)


class SubtitlesSchema(Schema):
    """Subtitles with the times of all words."""

    job_id = fields.UUID(required=True)
    cues = fields.List(fields.Nested(CueSchema), required=True)
    words = fields.List(fields.Nested(WordSchema), required=True)


class MeasuresSchema(Schema):
    """What was measured on a segment; null where no recogniser listened."""

    duration_s = fields.Float(required=True)
    is_finite = fields.Boolean(required=True)
    speech_s = fields.Float(required=True)
    expected_s = fields.Float(required=True, metadata={"description": "by the text's length"})
    silence_share = fields.Float(required=True)
    longest_silence_s = fields.Float(required=True)
    clipping_share = fields.Float(required=True)
    level_dbfs = fields.Float(required=True, allow_none=True)
    repeated_s = fields.Float(required=True)
    trailing_noise_s = fields.Float(required=True)
    word_error_rate = fields.Float(allow_none=True)
    character_error_rate = fields.Float(allow_none=True)


class AttemptSchema(Schema):
    """One reading of a piece."""

    seed = fields.Integer(required=True)
    measures = fields.Nested(MeasuresSchema, required=True)
    reasons = fields.List(fields.String(), required=True, metadata={"description": "faults"})
    score = fields.Float(required=True, metadata={"description": "0-1"})


class PieceReportSchema(Schema):
    """How a piece came about; without attempts while it is not spoken."""

    ordinal = fields.Integer(required=True)
    text = fields.String(required=True)
    verdict = fields.String(
        required=True, allow_none=True, validate=validate.OneOf(("good", "poor"))
    )
    chosen = fields.Integer(required=True, allow_none=True, metadata={"description": "attempt"})
    attempts = fields.List(fields.Nested(AttemptSchema), required=True)


class JobReportSchema(Schema):
    """How all pieces of a job came about."""

    job_id = fields.UUID(required=True)
    quality_score = fields.Float(required=True, allow_none=True)
    pieces = fields.List(fields.Nested(PieceReportSchema), required=True)


def show_subtitles(subtitles: Subtitles) -> dict[str, Any]:
    """Subtitles as ``SubtitlesSchema`` shows them."""
    return {
        "job_id": subtitles.job.id,
        "cues": [
            {"start_s": round(cue.start_s, 3), "end_s": round(cue.end_s, 3), "lines": cue.lines}
            for cue in subtitles.cues
        ],
        "words": [
            {
                "start_s": round(word.start_s, 3),
                "end_s": round(word.end_s, 3),
                "text": shown,
                "source_start": word.start,
                "source_end": word.end,
            }
            for word, shown in subtitles.words
        ],
    }


def show_report(piece: Piece) -> dict[str, Any]:
    """A piece's row as ``PieceReportSchema`` shows it."""
    head = {"ordinal": piece.ordinal, "text": piece.text}
    if piece.report is None:
        return {**head, "verdict": None, "chosen": None, "attempts": []}
    report = PieceReport.model_validate(piece.report)
    return {**head, "verdict": report.verdict, **report.model_dump()}
