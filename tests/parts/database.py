"""Postgres for tests, and databases copied from a migrated one."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.postgres_server import PostgresServer
from tests.parts.process import ROOT
from tests.parts.server import ServerPart

#: Tests kill processes, not the machine: what the kernel has is safe without fsync.
_OPTIONS = {"fsync": "off", "full_page_writes": "off", "max_connections": "300"}

_TEMPLATE = "migrated"


class PostgresPart(ServerPart[PostgresServer]):
    """A Postgres cluster in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        password = secrets.token_urlsafe(16)
        super().__init__(
            "postgres",
            folder,
            lambda port: PostgresServer(folder / "postgres", port, password, _OPTIONS),
        )
        self._is_migrated = False

    def url(self, database: str = "postgres") -> str:
        """Return the address of a database in SQLAlchemy's form."""
        return self.server.url(database)

    def migrated_template(self) -> str:
        """Return the name of a database with all migrations applied, made on first use."""
        if not self._is_migrated:
            self.server.create_database(_TEMPLATE)
            _migrate(self.server.url(_TEMPLATE))
            self._is_migrated = True
        return _TEMPLATE


@contextmanager
def clone_database(postgres: PostgresPart, template: str | None = None) -> Iterator[str]:
    """Yield the address of a new database, dropped afterwards.

    Args:
        postgres: where to create it.
        template: the database to copy; None for the migrated one.
    """
    name = f"test_{secrets.token_hex(6)}"
    postgres.server.create_database(name, template or postgres.migrated_template())
    try:
        yield postgres.url(name)
    finally:
        postgres.server.drop_database(name)


def _migrate(url: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        env={"MYNAH_DATABASE_URL": url, "PATH": "/usr/bin:/bin"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise AssertionError(f"the migrations fail:\n{result.stdout}{result.stderr}")
