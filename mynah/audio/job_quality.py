"""A job's quality score: from the checks of its pieces and the measures of its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mynah.audio.quality import SpeechMeasures, score_speech
from mynah.contracts.speech import PieceReport

_WORST_SHARE = 0.3  # a story is judged by its worst sentence too


def job_quality(
    reports: Sequence[PieceReport],
    measures: SpeechMeasures,
    text_characters: int,
    characters_per_second: float,
) -> float:
    """0-1: the file's level and clipping times its pieces' scores, the mean by length and the
    worst at 30 %.

    Pace and silence are the pieces' checks to judge: a file has the pauses that were asked for.
    Without reports (pieces spoken before there were any) the file alone counts, its pace held
    against ``text_characters`` and ``characters_per_second``, the engine's at the job's rate.
    """
    if not reports:
        return score_speech(measures, text_characters, characters_per_second)
    in_pace = max(1, round(measures.duration_s * characters_per_second))
    score = score_speech(replace(measures, silence_share=0.0), in_pace, characters_per_second)
    scores = [report.kept.score for report in reports]
    weights = [max(report.kept.measures.duration_s, 0.01) for report in reports]
    mean = sum(s * weight for s, weight in zip(scores, weights, strict=True)) / sum(weights)
    return round(score * ((1 - _WORST_SHARE) * mean + _WORST_SHARE * min(scores)), 3)
