"""Progress and the time that is left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.contracts.states import JobState
from mynah.db.models import Job
from mynah.jobs.progress import audio_done_of, estimate_eta_s, eta_of

START = datetime(2026, 1, 1, tzinfo=UTC)


def job(**columns: object) -> Job:
    values: dict[str, object] = {
        "state": JobState.PROCESSING,
        "started_at": START,
        "work_done": 20.0,
        "work_total": 100.0,
        "estimated_duration_s": 90.0,
        "actual_duration_s": None,
    }
    return Job(**{**values, **columns})


def test_the_rest_takes_as_long_as_its_share_took() -> None:
    assert eta_of(job(), START + timedelta(seconds=10)) == 40.0


@pytest.mark.parametrize(
    "columns",
    [
        {"state": JobState.PENDING, "started_at": None, "work_done": 0.0},
        {"work_done": 0.0},
        {"started_at": None},
        {"state": JobState.COMPLETED, "work_done": 100.0},
        {"state": JobState.CANCELLED},
    ],
)
def test_without_a_pace_or_after_the_end_nobody_knows(columns: dict[str, object]) -> None:
    assert eta_of(job(**columns), START + timedelta(seconds=10)) is None


@given(done=st.floats(0, 1e6), total=st.floats(0, 1e6), elapsed_s=st.floats(-1e4, 1e6))
def test_it_is_never_negative(done: float, total: float, elapsed_s: float) -> None:
    left_s = estimate_eta_s(START, done, total, START + timedelta(seconds=elapsed_s))
    assert left_s is None or left_s >= 0


@given(pieces=st.lists(st.floats(0.5, 2.0), min_size=20, max_size=200))
def test_it_falls_steadily_at_a_steady_pace(pieces: list[float]) -> None:
    total, done = sum(pieces), 0.0
    lefts = []
    for piece in pieces:
        done += piece
        left_s = estimate_eta_s(START, done, total, START + timedelta(seconds=done * 3))
        assert left_s is not None
        lefts.append(left_s)
    assert lefts == sorted(lefts, reverse=True)
    assert lefts[-1] == pytest.approx(0, abs=0.1)


def test_audio_done_is_a_share_until_the_length_is_known() -> None:
    assert audio_done_of(job()) == 18.0
    assert audio_done_of(job(work_total=0.0)) == 0.0
    assert audio_done_of(job(estimated_duration_s=None)) == 0.0
    done = job(state=JobState.COMPLETED, work_done=100.0, actual_duration_s=93.5)
    assert audio_done_of(done) == 93.5
