"""A job's quality score: from the checks of its pieces and the measures of its file."""

from __future__ import annotations

from collections.abc import Sequence

from mynah.audio.quality import SpeechMeasures, score_speech
from mynah.contracts.speech import PieceReport

_WORST_SHARE = 0.3  # a story is judged by its worst sentence too


def job_quality(
    reports: Sequence[PieceReport],
    measures: SpeechMeasures,
    text_characters: int,
    characters_per_second: float,
) -> float:
    """0-1: the file's score times that of its pieces, the mean by length and the worst at 30 %.

    ``measures`` are the finished file's, ``characters_per_second`` the engine's at the job's
    rate. Without reports (pieces spoken before there were any) the file alone counts.
    """
    score = score_speech(measures, text_characters, characters_per_second)
    if not reports:
        return score
    scores = [report.kept.score for report in reports]
    weights = [max(report.kept.measures.duration_s, 0.01) for report in reports]
    mean = sum(s * weight for s, weight in zip(scores, weights, strict=True)) / sum(weights)
    return round(score * ((1 - _WORST_SHARE) * mean + _WORST_SHARE * min(scores)), 3)
