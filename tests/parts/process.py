"""A child process that a test starts, waits for, kills and starts again."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil

from deploy.local import processes
from deploy.local.processes import Command, ProcessRecord

ROOT = Path(__file__).resolve().parents[2]


def wait_for(
    condition: Callable[[], object], timeout_s: float, message: str, interval_s: float = 0.02
) -> None:
    """Return once ``condition()`` is true.

    It is asked once more behind the deadline: on a busy machine a look that began in time, and
    too early, may have taken all of it.

    Raises:
        AssertionError: it did not become true in time; holds ``message``.
    """
    deadline = time.monotonic() + timeout_s
    is_last = False
    while not condition():
        if is_last:
            raise AssertionError(f"not within {timeout_s:g} s: {message}")
        time.sleep(interval_s)
        is_last = time.monotonic() > deadline


class ServiceProcess:
    """A command in a process group of its own. Use it as a context manager, or call stop()."""

    def __init__(self, name: str, command: Command, log: Path) -> None:
        self.name = name
        self.command = command
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._record: ProcessRecord | None = None

    @classmethod
    def python(
        cls, name: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> ServiceProcess:
        """Describe ``python <arguments>`` from the repository's root, e.g. ``["-m", "celery", …]``.

        The environment is added to this process's own.
        """
        merged = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}
        return cls(name, Command([sys.executable, *arguments], merged, folder=ROOT), log)

    def start(self) -> Self:
        """Start the process; returns at once."""
        if self.is_running():
            raise RuntimeError(f"{self.name} runs already")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._process = processes.start(self.command, self.log)
        # A process that died at once has no start time any more; is_running() tells.
        with contextlib.suppress(psutil.NoSuchProcess):
            self._record = ProcessRecord.of(self._process.pid)
        return self

    @property
    def pid(self) -> int:
        """The id of the process, which is also the id of its group."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process.pid

    def is_running(self) -> bool:
        """Tell whether the leader of the group lives."""
        return self._process is not None and self._process.poll() is None

    def wait_until_ready(self, condition: Callable[[], object], timeout_s: float = 30.0) -> None:
        """Return once ``condition()`` is true.

        Raises:
            AssertionError: the process died or took too long; holds the tail of its log.
        """
        deadline = time.monotonic() + timeout_s
        while not condition():
            if not self.is_running():
                raise AssertionError(f"{self.name} died before it was ready:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"{self.name} not ready within {timeout_s:g} s:\n{self.log_tail()}"
                )
            time.sleep(0.02)

    def stop(self, grace_s: float = 10.0) -> None:
        """Ask the process to stop; what is left of its group after the grace period is killed."""
        if self._record is not None:
            processes.stop_groups({self._record: self.command.stop_signal}, grace_s)
        self._reap()

    def kill(self) -> None:
        """Kill the whole group with SIGKILL, as a crash of the machine would."""
        if self._record is not None:
            processes.kill_group(self._record)
        self._reap()

    def log_tail(self, lines: int = 40) -> str:
        """Return the last lines that the process wrote."""
        return processes.tail(self.log, lines)

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(timeout=10)
        self._record = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
