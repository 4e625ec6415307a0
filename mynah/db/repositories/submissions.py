"""New jobs with their steps and pieces, however many, in one statement."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, bindparam, text
from sqlalchemy.orm import Session, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from mynah.db.models import Job, Piece, Step
from mynah.db.models.base import Base


def _defaults(model: type[Base]) -> dict[str, Any]:
    """The columns that a new row brings along, with their defaults; the rest is the database's."""
    its_own = ("created_at", "sent_at")
    return {
        column.name: getattr(column.default, "arg", None)
        for column in model.__mapper__.columns
        if column.computed is None and column.name not in its_own
    }


_WRITTEN: dict[type[Base], dict[str, Any]] = {
    model: _defaults(model) for model in (Job, Step, Piece)
}
_COMPUTED = [each.name for each in Job.__mapper__.columns if each.computed is not None]


def _names(model: type[Base]) -> str:
    return ", ".join(_WRITTEN[model])


# Rows come as documents, so that the statement stays the same for any number of them: it is
# compiled once, and prepared in the server. References are checked at its end.
def _submission(condition: str) -> str:
    return f"""
new_jobs AS (
    INSERT INTO jobs ({_names(Job)})
    SELECT {_names(Job)} FROM jsonb_populate_recordset(NULL::jobs, CAST(:jobs AS jsonb))
    WHERE {condition}
    RETURNING id, created_at
), new_steps AS (
    INSERT INTO steps ({_names(Step)}, sent_at)
    SELECT {_names(Step)}, now()
    FROM jsonb_populate_recordset(NULL::steps, CAST(:steps AS jsonb))
    WHERE {condition}
), new_pieces AS (
    INSERT INTO pieces ({_names(Piece)})
    SELECT {_names(Piece)} FROM jsonb_populate_recordset(NULL::pieces, CAST(:pieces AS jsonb))
    WHERE {condition}
)
SELECT id, created_at FROM new_jobs
"""  # noqa: S608 - the columns' names are the models'


_SUBMIT = text(f"WITH {_submission('true')}")

# One statement, so that what somebody waits for costs one round trip: nothing is there unless its
# characters are within the quota. ``on_disk``: whether the answer waits for the disk.
_SUBMIT_CHARGED = text(
    f"""
WITH charged AS (
    INSERT INTO usage AS u
        (user_id, period, characters, jobs, audio_s, cost, output_bytes, saved_bytes)
    SELECT :user_id, :period, :characters, 1, 0, 0, 0, 0
    WHERE :characters <= :quota AND set_config('synchronous_commit', :on_disk, true) IS NOT NULL
    ON CONFLICT (user_id, period) DO UPDATE
        SET characters = u.characters + excluded.characters, jobs = u.jobs + 1
        WHERE u.characters + excluded.characters <= :quota
    RETURNING 1
), {_submission("EXISTS (SELECT FROM charged)")}
"""  # noqa: S608 - the columns' names are the models'
).bindparams(bindparam("characters", type_=BigInteger), bindparam("quota", type_=BigInteger))


class SubmissionRepository:
    """Submissions."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, jobs: Sequence[Job], steps: Sequence[Step], pieces: Sequence[Piece]) -> None:
        """Insert new rows. The jobs belong to the session then, steps and pieces stay detached.

        Steps count as sent now; what is waiting is marked again when it is released.
        """
        rows = _values(jobs)
        documents = _documents(rows, steps, pieces)
        created = {row.id: row.created_at for row in self._session.execute(_SUBMIT, documents)}
        for job, values in zip(jobs, rows, strict=True):
            unset = dict.fromkeys(_COMPUTED)
            for name, value in {**values, **unset, "created_at": created[job.id]}.items():
                set_committed_value(job, name, value)
            make_transient_to_detached(job)
            self._session.add(job)

    def add_charged(
        self,
        job: Job,
        steps: Sequence[Step],
        pieces: Sequence[Piece],
        quota: int,
        *,
        is_durable: bool,
    ) -> bool:
        """Insert one job and take its characters; False, and nothing done, beyond the quota.

        All rows stay detached. Unless ``is_durable`` a crash of the server within the next
        second may forget it all together.
        """
        charge = {
            "user_id": job.user_id,
            "period": job.usage_period,
            "characters": job.characters,
            "quota": quota,
            "on_disk": "on" if is_durable else "off",
        }
        documents = _documents(_values([job]), steps, pieces)
        return self._session.execute(_SUBMIT_CHARGED, {**charge, **documents}).first() is not None


def _documents(
    jobs: Sequence[dict[str, Any]], steps: Iterable[Step], pieces: Iterable[Piece]
) -> dict[str, str]:
    rows = {"jobs": jobs, "steps": _values(steps), "pieces": _values(pieces)}
    return {name: json.dumps(given, default=_show) for name, given in rows.items()}


def _values(rows: Iterable[Base]) -> list[dict[str, Any]]:
    """What the columns of new rows will hold: what was set, else their defaults."""
    return [
        {
            name: default if (value := getattr(row, name)) is None else value
            for name, default in _WRITTEN[type(row)].items()
        }
        for row in rows
    ]


def _show(value: object) -> str:
    """An id or a time in JSON."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} in a row")
