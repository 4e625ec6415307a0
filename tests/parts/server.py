"""What every server part has in common: a folder, a spare port, and surviving its own kill."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

from deploy.local.ports import find_spare_port
from deploy.local.processes import Command
from tests.parts.process import ServiceProcess

_PORT_ATTEMPTS = 5


class Server(Protocol):
    """A server of the local stack, as deploy/local describes it."""

    def initialise(self) -> None:
        """Create its files."""

    def command(self) -> Command:
        """Return what runs it."""

    def is_ready(self) -> bool:
        """Tell whether it answers."""


S = TypeVar("S", bound=Server)


class ServerPart(Generic[S]):
    """A server that a test run starts, kills and restarts; its data and port stay the same."""

    def __init__(self, name: str, folder: Path, build: Callable[[int], S]) -> None:
        self._name = name
        self._log = folder / f"{name}.log"
        self._build = build
        self._process: ServiceProcess | None = None
        self.server = build(find_spare_port())

    def start(self) -> Self:
        """Start the server and wait until it answers.

        The first start takes another port when somebody else was quicker on this one.
        """
        attempts = 1 if self._process else _PORT_ATTEMPTS
        for remaining in reversed(range(attempts)):
            self.server.initialise()
            self._process = ServiceProcess(self._name, self.server.command(), self._log).start()
            try:
                self._process.wait_until_ready(self.server.is_ready)
            except AssertionError:
                self._process.kill()
                if not remaining:
                    raise
                self.server = self._build(find_spare_port())
            else:
                break
        return self

    def stop(self) -> None:
        """Stop the server in an orderly way."""
        if self._process:
            self._process.stop()

    def kill(self) -> None:
        """Kill every process of the server with SIGKILL."""
        if self._process:
            self._process.kill()

    def pause(self) -> None:
        """Let the server hang: it accepts, and answers nothing."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        if self._process:
            os.killpg(self._process.pid, signal.SIGCONT)

    def restart(self) -> None:
        """Stop the server if it runs, and start it on the same port with the same data."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
