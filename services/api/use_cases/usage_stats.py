"""What a user had spoken over a time, in equal stretches of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from mynah.db.repositories.history import Sums
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import InvalidRequest

MAX_STRETCHES = 10_000
ALL = "All"
_CUMULATIVE = "cumulative"
_STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
_GROUPS = {"none": None, "voice": "voice", "model": "engine"}


@dataclass(frozen=True, slots=True)
class UsageStats:
    """The starts of the stretches in UTC, and by group a figure for each of them."""

    starts: list[datetime]
    usage: dict[str, list[float]]


def usage_stats(
    uow: UnitOfWork,
    user_id: UUID,
    start: datetime,
    stop: datetime,
    *,
    unit: str,
    breakdown: str,
    metric: str,
) -> UsageStats:
    """Sums of ``metric`` (credits are characters) by ``unit`` and ``breakdown``.

    Raises InvalidRequest when there would be too many stretches, or none.
    """
    starts = [start] if unit == _CUMULATIVE else _starts(start, stop, unit)
    if stop <= start:
        raise InvalidRequest("end_unix must lie after start_unix.", code="invalid_period")
    places = {moment: place for place, moment in enumerate(starts)}
    usage: dict[str, list[float]] = {}
    group = _GROUPS[breakdown]
    sql_unit = "day" if unit == _CUMULATIVE else unit
    for sums in uow.history.sums(user_id, start, stop, unit=sql_unit, group=group):
        place = 0 if unit == _CUMULATIVE else places[sums.start.astimezone(UTC)]
        figures = usage.setdefault(sums.group or ALL, [0.0] * len(starts))
        figures[place] += _figure(sums, metric)
    if group is None:
        usage.setdefault(ALL, [0.0] * len(starts))
    return UsageStats(starts, usage)


def _figure(sums: Sums, metric: str) -> float:
    figures = {"minutes_used": sums.audio_s / 60, "request_count": float(sums.jobs)}
    return figures.get(metric, float(sums.characters))


def _starts(start: datetime, stop: datetime, unit: str) -> list[datetime]:
    found: list[datetime] = []
    for moment in _iter_starts(start, unit):
        if moment >= stop:
            return found
        if len(found) == MAX_STRETCHES:
            raise InvalidRequest("That is too long for this interval.", code="invalid_period")
        found.append(moment)
    return found


def _iter_starts(start: datetime, unit: str) -> Iterator[datetime]:
    """Starts of hours, days, weeks (Mondays) or months, as Postgres' date_trunc has them."""
    moment = start.replace(minute=0, second=0, microsecond=0)
    if unit != "hour":
        moment = moment.replace(hour=0)
    if unit == "week":
        moment -= timedelta(days=moment.weekday())
    if unit == "month":
        moment = moment.replace(day=1)
    while True:
        yield moment
        if unit == "month":
            moment = (moment + timedelta(days=32)).replace(day=1)
        else:
            moment += _STEPS[unit]
