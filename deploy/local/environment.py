"""Where the stack's files lie, on which ports it listens, and what its processes are told.

The only module of the local stack that reads or builds environment variables.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from deploy.local.accounts import choose_folder, unprivileged_account
from deploy.local.credentials import Credentials, load_or_create
from deploy.local.errors import LocalStackError
from deploy.local.ports import HOST
from deploy.local.postgres_server import USER, PostgresServer
from deploy.local.redis_server import RedisServer

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ports:
    """The ports of the stack, all on the loopback address."""

    gateway: int = 8000
    postgres: int = 55432
    redis: int = 56379
    flower: int = 5555

    @classmethod
    def read(cls, chosen: Mapping[str, int | None], variables: Mapping[str, str]) -> Ports:
        """Take each port from ``chosen``, else from its variable, else its default.

        Raises:
            LocalStackError: a value is no port, or two parts have the same one.
        """
        values: dict[str, int] = {}
        for entry in fields(cls):
            text = chosen.get(entry.name) or variables.get(port_variable(entry.name))
            default = getattr(cls, entry.name)
            values[entry.name] = _parse_port(entry.name, text) if text else default
        if len(set(values.values())) < len(values):
            raise LocalStackError(f"Every part needs a port of its own, but they are: {values}")
        return cls(**values)

    def as_dict(self) -> dict[str, int]:
        """Return the ports by the names of their parts."""
        return asdict(self)


def port_variable(part: str) -> str:
    """Return the variable that sets a part's port; ``make`` takes it without the prefix."""
    return {
        "gateway": "MYNAH_PORT",
        "postgres": "MYNAH_PG_PORT",
        "redis": "MYNAH_REDIS_PORT",
        "flower": "MYNAH_FLOWER_PORT",
    }[part]


@dataclass(frozen=True)
class Layout:
    """The stack's folder and what lies in it."""

    home: Path

    @classmethod
    def from_environment(cls) -> Layout:
        """Return the layout under ``MYNAH_HOME``, by default ``.mynah`` in the repository."""
        return cls(Path(os.environ.get("MYNAH_HOME") or ROOT / ".mynah").resolve())

    def create(self) -> None:
        """Create the folders, closed to everybody else."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.run, self.logs, self.objects, self.metrics):
            folder.mkdir(mode=0o700, exist_ok=True)

    @property
    def secrets_file(self) -> Path:
        """Passwords and keys."""
        return self.home / "secrets.env"

    @property
    def run(self) -> Path:
        """Lock, state, schedule: what describes the running stack."""
        return self.home / "run"

    @property
    def logs(self) -> Path:
        """One log per part."""
        return self.home / "logs"

    @property
    def objects(self) -> Path:
        """The object store."""
        return self.home / "objects"

    @property
    def metrics(self) -> Path:
        """The figures that the processes share; emptied on every start."""
        return self.run / "metrics"

    def log(self, part: str) -> Path:
        """Return the log of a part."""
        return self.logs / f"{part}.log"


@dataclass(frozen=True)
class StackEnvironment:
    """Everything that describes one local stack."""

    layout: Layout
    ports: Ports
    credentials: Credentials

    @classmethod
    def prepare(cls, layout: Layout, ports: Ports) -> StackEnvironment:
        """Create the folders and, on the first start, the secrets."""
        layout.create()
        return cls(layout, ports, load_or_create(layout.secrets_file))

    @property
    def api_url(self) -> str:
        """The address of the gateway."""
        return f"http://{HOST}:{self.ports.gateway}"

    @property
    def flower_url(self) -> str:
        """The address of the operators' view."""
        return f"http://{HOST}:{self.ports.flower}"

    @property
    def engines(self) -> list[str]:
        """The engines beside eSpeak that the stack serves, by commas in ``MYNAH_ENGINES``.

        Raises:
            LocalStackError: there is no such engine.
        """
        named = [name.strip() for name in os.environ.get("MYNAH_ENGINES", "").split(",")]
        chosen = [name for name in named if name]
        if chosen:
            from mynah.engines.catalog import load_engines  # noqa: PLC0415 - seldom needed

            for name in chosen:
                if name not in load_engines():
                    known = ", ".join(load_engines())
                    raise LocalStackError(f"There is no engine '{name}'. There are: {known}.")
        return chosen

    def postgres(self) -> PostgresServer:
        """Return the database server."""
        folder = choose_folder(self.layout.home, "postgres", unprivileged_account())
        return PostgresServer(folder, self.ports.postgres, self.credentials.postgres_password)

    def redis(self) -> RedisServer:
        """Return the queue server."""
        return RedisServer(
            self.layout.home / "redis", self.ports.redis, self.credentials.redis_password
        )

    def variables(self) -> dict[str, str]:
        """Return the environment of every service.

        The caller's own variables stay, so that any setting can be tried with
        ``MYNAH_…=… make up``; what the stack decides wins over them.
        """
        return {
            "MYNAH_WARM_ENGINES": ",".join(("espeak", *self.engines)),
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "MYNAH_DATABASE_URL": self.postgres().url(USER),
            "MYNAH_REDIS_URL": self.redis().url(),
            "MYNAH_STORAGE": "local",
            "MYNAH_STORAGE_DIR": str(self.layout.objects),
            "MYNAH_JWT_SECRET": self.credentials.jwt_secret,
            "MYNAH_PUBLIC_URL": self.api_url,
            "PROMETHEUS_MULTIPROC_DIR": str(self.layout.metrics),
            "CELERY_BROKER_URL": self.redis().url(),  # for Flower, which loads none of our apps
            "FLOWER_BASIC_AUTH": (
                f"{self.credentials.flower_user}:{self.credentials.flower_password}"
            ),
        }


def _parse_port(part: str, text: str | int) -> int:
    try:
        port = int(text)
    except ValueError:
        port = 0
    if not 0 < port < 65536:
        raise LocalStackError(f"{port_variable(part)}={text} is not a port (1 to 65535).")
    return port
