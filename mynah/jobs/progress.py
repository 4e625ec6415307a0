"""How far a job is and how long it will take: pure functions of its row."""

from __future__ import annotations

from datetime import datetime


def estimate_eta_s(
    started_at: datetime | None, work_done: float, work_total: float, now: datetime
) -> float | None:
    """Seconds until the work is done, at its pace so far; None before there is a pace.

    Never negative. Between two finished pieces it grows a little, since nobody knows how far the
    pieces in hand are; the longer a job runs, the less.
    """
    if started_at is None or work_done <= 0 or work_total <= 0:
        return None
    spent_s = max((now - started_at).total_seconds(), 0.0)
    rest = max(work_total - work_done, 0.0)
    return round(spent_s * rest / work_done, 1)


def estimate_audio_done_s(
    estimated_duration_s: float | None, work_done: float, work_total: float
) -> float:
    """Seconds of audio that are made, as a share of what the whole is expected to have."""
    if not estimated_duration_s or work_total <= 0:
        return 0.0
    return round(estimated_duration_s * min(work_done / work_total, 1.0), 2)
