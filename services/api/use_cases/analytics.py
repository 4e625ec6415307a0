"""Analytics: what was spoken, what it took and saved, and what is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from mynah.contracts.states import JobState
from mynah.db.repositories.analytics import JobSums, Span, Stored
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import InvalidRequest
from mynah.observability.metrics import profile_cache_uses
from mynah.settings import Settings
from services.api.use_cases.savings import saved_share

MAX_DAYS = 366
USUAL_DAYS = 30
GIB = 1024**3
HOURS_PER_MONTH = 365.25 * 24 / 12

_UNSPOKEN = (JobState.FAILED, JobState.CANCELLED)  # their characters were given back


@dataclass(frozen=True, slots=True)
class Period:
    """Days in UTC, both included."""

    first: date
    last: date

    @property
    def days(self) -> list[date]:
        """Every day."""
        count = (self.last - self.first).days + 1
        return [self.first + timedelta(days=number) for number in range(count)]


def choose_period(first: date | None, last: date | None, today: date) -> Period:
    """The days asked for; the last 30 by default. Raises InvalidRequest."""
    end = last or max(today, first or today)
    start = first or end - timedelta(days=USUAL_DAYS - 1)
    if start > end:
        raise InvalidRequest("'from' lies after 'to'.", code="invalid_period")
    if (end - start).days >= MAX_DAYS:
        raise InvalidRequest(f"At most {MAX_DAYS} days at a time.", code="invalid_period")
    return Period(start, end)


def analyse(
    uow: UnitOfWork, settings: Settings, user_id: UUID | None, period: Period
) -> dict[str, Any]:
    """The figures of a user, or of all (None), as ``AnalyticsSchema`` shows them."""
    start = datetime.combine(period.first, time.min, UTC)
    stop = datetime.combine(period.last, time.min, UTC) + timedelta(days=1)
    span = Span(user_id, start, stop)
    sums = uow.analytics.job_sums(span)
    waits = uow.analytics.waits(span)
    return {
        "from_": period.first,
        "to": period.last,
        "user_id": user_id,
        "days": _days(sums, period),
        "totals": {
            **_figures(sums),
            "real_time_factor": _ratio(_total(sums, "synthesis_s"), _audio_of(sums)),
            "quality_mean": _ratio(_total(sums, "quality_sum"), _total(sums, "quality_count")),
            "failures": _failures(sums),
            "queue_wait_s": {"p50": _rounded(waits.p50_s), "p95": _rounded(waits.p95_s)},
        },
        "storage": _storage(uow, settings, user_id),
        "profile_cache": _profile_cache() if user_id is None else None,
    }


def _days(sums: Sequence[JobSums], period: Period) -> list[dict[str, Any]]:
    by_day: dict[date, list[JobSums]] = {day: [] for day in period.days}
    for row in sums:
        by_day[row.day].append(row)
    return [{"date": day, **_figures(rows)} for day, rows in by_day.items()]


def _figures(sums: Sequence[JobSums]) -> dict[str, Any]:
    jobs: Counter[str] = Counter({state.value: 0 for state in JobState})
    for row in sums:
        jobs[row.state] += row.jobs
    output_bytes, saved_bytes = _total(sums, "output_bytes"), _total(sums, "saved_bytes")
    pcm_bytes, saved_pcm = _total(sums, "pcm_bytes"), _total(sums, "pcm_saved_bytes")
    return {
        "jobs": dict(jobs),
        "characters": _total((row for row in sums if row.state not in _UNSPOKEN), "characters"),
        "audio_s": round(_total(sums, "audio_s"), 3),
        "output_bytes": output_bytes,
        "saved_bytes": saved_bytes,
        "saved_share": saved_share(saved_bytes, output_bytes),
        "saved_bytes_pcm": saved_pcm,
        "saved_share_pcm": _ratio(saved_pcm, pcm_bytes),
    }


def _failures(sums: Iterable[JobSums]) -> dict[str, int]:
    """Failed jobs by error, the most frequent first."""
    counts: Counter[str] = Counter()
    for row in sums:
        if row.state == JobState.FAILED:
            counts[row.error_code or "unknown"] += row.jobs
    return dict(counts.most_common())


def _storage(uow: UnitOfWork, settings: Settings, user_id: UUID | None) -> dict[str, Any]:
    stored = {
        "uploads": uow.analytics.stored_uploads(user_id),
        "voices": uow.analytics.stored_voices(user_id),
        "outputs": uow.analytics.stored_outputs(user_id),
    }
    price = settings.storage_cost_per_gib_month

    def show(kind: str, found: Stored) -> dict[str, Any]:
        months = None if found.byte_hours is None else found.byte_hours / HOURS_PER_MONTH
        return {
            "kind": kind,
            "count": found.count,
            "size_bytes": found.size_bytes,
            "cost_per_month": round(found.size_bytes / GIB * price, 6),
            "cost_until_removed": None if months is None else round(months / GIB * price, 6),
        }

    total_bytes = sum(found.size_bytes for found in stored.values())
    return {
        "kinds": [show(kind, found) for kind, found in stored.items()],
        "size_bytes": total_bytes,
        "cost_per_month": round(total_bytes / GIB * price, 6),
        "output_retention_h": settings.output_retention_h,
    }


def _profile_cache() -> dict[str, Any] | None:
    """The workers' caches since they started; None where their figures are not to be seen."""
    uses = profile_cache_uses()
    hits, misses = uses.get("hit", 0), uses.get("miss", 0)
    if not hits + misses:
        return None
    return {"hits": hits, "misses": misses, "hit_rate": _ratio(hits, hits + misses)}


def _audio_of(sums: Iterable[JobSums]) -> float:
    return float(_total(sums, "synthesis_audio_s"))


def _total(sums: Iterable[JobSums], name: str) -> Any:
    return sum(getattr(row, name) for row in sums)


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 3)
