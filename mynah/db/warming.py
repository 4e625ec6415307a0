"""Warm connections: what else the first requests of a process would wait for, one after another."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from mynah.db.unit_of_work import UnitOfWork, UnitOfWorkFactory

# A connection has a statement prepared by the server when it was sent five times, and the server
# keeps a plan of it after five more.
_PLANNED_AFTER = 11


def warm_connections(
    new_uow: UnitOfWorkFactory, count: int, ask: Callable[[UnitOfWork], object]
) -> None:
    """Connect so often, and have what ``ask`` executes planned on each of these connections.

    ``ask`` is called again and again and must change nothing. Raises DatabaseUnavailable.
    """
    with ExitStack() as connections:
        for _ in range(count):
            uow = connections.enter_context(new_uow()).each_by_itself()
            for _ in range(_PLANNED_AFTER):
                ask(uow)
