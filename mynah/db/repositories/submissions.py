"""New jobs with their steps and pieces, however many, in one statement."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
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
_SUBMIT = text(
    f"""
WITH new_jobs AS (
    INSERT INTO jobs ({_names(Job)})
    SELECT {_names(Job)} FROM jsonb_populate_recordset(NULL::jobs, CAST(:jobs AS jsonb))
    RETURNING id, created_at
), new_steps AS (
    INSERT INTO steps ({_names(Step)}, sent_at)
    SELECT {_names(Step)}, now()
    FROM jsonb_populate_recordset(NULL::steps, CAST(:steps AS jsonb))
), new_pieces AS (
    INSERT INTO pieces ({_names(Piece)})
    SELECT {_names(Piece)} FROM jsonb_populate_recordset(NULL::pieces, CAST(:pieces AS jsonb))
)
SELECT id, created_at FROM new_jobs
"""  # noqa: S608 - the columns' names are the models'
)


class SubmissionRepository:
    """Submissions."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, jobs: Sequence[Job], steps: Sequence[Step], pieces: Sequence[Piece]) -> None:
        """Insert new rows. The jobs belong to the session then, steps and pieces stay detached.

        Steps count as sent now; what is waiting is marked again when it is released.
        """
        rows = {"jobs": _values(jobs), "steps": _values(steps), "pieces": _values(pieces)}
        documents = {name: json.dumps(given, default=_show) for name, given in rows.items()}
        created = {row.id: row.created_at for row in self._session.execute(_SUBMIT, documents)}
        for job, values in zip(jobs, rows["jobs"], strict=True):
            unset = dict.fromkeys(_COMPUTED)
            for name, value in {**values, **unset, "created_at": created[job.id]}.items():
                set_committed_value(job, name, value)
            make_transient_to_detached(job)
            self._session.add(job)


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
