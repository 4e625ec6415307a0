"""Cursor paging: newest first, the cursor is the last id of the page before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class Page(Generic[RowT]):
    """Rows and the cursor of the next page, None at the end."""

    items: Sequence[RowT]
    next_cursor: UUID | None


def fetch_page(
    session: Session,
    query: Select[RowT],
    id_column: InstrumentedAttribute[Any],
    cursor: UUID | None,
    limit: int,
) -> Page[RowT]:
    """One page of ``query`` by descending id (UUIDv7: by time)."""
    if cursor is not None:
        query = query.where(id_column < cursor)
    rows = session.scalars(query.order_by(id_column.desc()).limit(limit + 1)).all()
    if len(rows) <= limit:
        return Page(rows, None)
    page = rows[:limit]
    return Page(page, page[-1].id)  # type: ignore[attr-defined]
