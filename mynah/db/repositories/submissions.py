"""New jobs with their steps and pieces, however many, in one statement."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Table, text
from sqlalchemy.orm import Session, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value

from mynah.db.models import Job, Piece, Step
from mynah.db.models.base import Base


def _columns(model: type[Base]) -> list[Column[Any]]:
    table = model.__table__
    if not isinstance(table, Table):
        raise TypeError(f"{model.__name__} is no table")
    return list(table.columns)


def _written(model: type[Base]) -> list[Column[Any]]:
    """The columns that a new row brings along; the database fills in the others."""
    its_own = ("created_at", "sent_at")
    return [each for each in _columns(model) if each.computed is None and each.name not in its_own]


def _names(model: type[Base]) -> str:
    return ", ".join(column.name for column in _written(model))


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
        documents = {"jobs": _show(jobs), "steps": _show(steps), "pieces": _show(pieces)}
        created = {row.id: row.created_at for row in self._session.execute(_SUBMIT, documents)}
        for job in jobs:
            for column in _columns(Job):
                set_committed_value(job, column.name, _value(job, column))
            set_committed_value(job, "created_at", created[job.id])
            make_transient_to_detached(job)
            self._session.add(job)


def _show(rows: Iterable[Base]) -> str:
    """Rows of one table as a JSON list."""
    shown = [{each.name: _value(row, each) for each in _written(type(row))} for row in rows]
    return json.dumps(shown, default=_show_value)


def _show_value(value: object) -> str:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} in a row")


def _value(row: Base, column: Column[Any]) -> Any:
    """What a column will hold: what was set, else its default."""
    value = getattr(row, column.name)
    if value is None and column.default is not None:
        return column.default.arg  # type: ignore[attr-defined]
    return value
