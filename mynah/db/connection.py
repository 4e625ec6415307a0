"""The database engine of a process, and what its errors mean to a caller."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy import exc as sa_exc
from sqlalchemy.orm import Session, sessionmaker

from mynah.errors import Conflict, DatabaseUnavailable
from mynah.settings import Settings

# PostgreSQL error classes that mean "not now": connection exceptions, insufficient resources,
# operator intervention (shutdown, crash, starting up), query cancelled by a timeout.
_UNAVAILABLE_SQLSTATES = ("08", "53", "57")
# Asking a connection whether it lives costs a round trip. A server that stops says so on its own,
# which costs nothing to see; only who lay idle for long may have been cut off without a word.
_TRUSTED_IDLE_S = 30.0


def connect(settings: Settings) -> Engine:
    """A lazy engine: connects on first use, so it may be made before a fork is over."""
    options = (
        "-c statement_timeout=30000 -c lock_timeout=15000 "
        "-c idle_in_transaction_session_timeout=60000 -c timezone=UTC"
    )
    engine = create_engine(
        settings.database_url,
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_pool_size,
        pool_use_lifo=True,  # the one used last knows the statements, and lay idle least
        pool_timeout=settings.database_connect_timeout_s,
        connect_args={
            "connect_timeout": settings.database_connect_timeout_s,
            "tcp_user_timeout": settings.database_connect_timeout_s * 2000,
            "options": options,
        },
    )
    _ask_idle_connections(engine)
    return engine


def _ask_idle_connections(engine: Engine) -> None:
    """Have connections that lay idle replaced on their way out of the pool when they are dead."""

    @event.listens_for(engine, "checkin")
    def note_time(_: Any, record: Any) -> None:
        record.info["used_at"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ask(connection: Any, record: Any, _: Any) -> None:
        idle_s = time.monotonic() - record.info.get("used_at", time.monotonic())
        try:
            if idle_s > _TRUSTED_IDLE_S or _has_news(connection):
                engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise sa_exc.DisconnectionError from error


def _has_news(connection: Any) -> bool:
    """Whether the server said something unasked: most likely that it is going."""
    poller = select.poll()
    poller.register(connection.pgconn.socket, select.POLLIN)
    return bool(poller.poll(0))


def make_session_factory(engine: Engine) -> sessionmaker[Session]:
    """Sessions whose objects stay readable after the commit."""
    return sessionmaker(engine, expire_on_commit=False)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn "the database is away" and "somebody was quicker" into errors of ours.

    Raises DatabaseUnavailable; Conflict when what was checked before was taken or removed by
    another transaction in between. All else passes.
    """
    try:
        yield
    except sa_exc.IntegrityError as error:
        raise Conflict("Another request was quicker; try again.") from error
    except sa_exc.TimeoutError as error:  # no connection free in the pool
        raise DatabaseUnavailable from error
    except sa_exc.DBAPIError as error:
        if _is_unavailable(error):
            raise DatabaseUnavailable from error
        raise


def _is_unavailable(error: sa_exc.DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate is None:  # no answer from the server: connection refused, broken, timed out
        return isinstance(error, sa_exc.OperationalError | sa_exc.InterfaceError)
    return str(sqlstate).startswith(_UNAVAILABLE_SQLSTATES)
