"""Child processes: started in a group of their own, recognised later, stopped as a whole group.

A process is known by its id *and* its start time, so that a record which outlived a reboot or
a SIGKILL never hits an innocent process. Every child also gets its stop signal from the kernel
when its parent dies (``setpriv --pdeathsig``): nothing runs on unsupervised.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deploy.local.accounts import Account

#: psutil computes start times from clock ticks; two readings of one process agree to this.
_START_TIME_TOLERANCE_S = 0.05
_POLL_S = 0.02


@dataclass(frozen=True)
class Command:
    """What to start, and how it likes to be stopped."""

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM

    def full_argv(self) -> list[str]:
        """Return the argument list behind ``setpriv``, which sets account and death signal."""
        prefix = ["setpriv", "--pdeathsig", self.stop_signal.name.removeprefix("SIG")]
        if self.account is not None:
            prefix += [
                f"--reuid={self.account.user_id}",
                f"--regid={self.account.group_id}",
                "--clear-groups",
            ]
        return [*prefix, "--", *self.argv]


@dataclass(frozen=True)
class ProcessRecord:
    """The identity of a process: valid across restarts of whoever wrote it down."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> ProcessRecord:
        """Record a running process.

        Raises:
            psutil.NoSuchProcess: there is none with this id.
        """
        return cls(pid, psutil.Process(pid).create_time())

    def is_alive(self) -> bool:
        """Tell whether this very process still runs (a zombie does not)."""
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.started) <= _START_TIME_TOLERANCE_S
            return is_same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def start(command: Command, log: Path) -> subprocess.Popen[bytes]:
    """Start a command as the leader of a new process group; its output is appended to ``log``.

    Raises:
        OSError: the program could not be started at all.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            command.full_argv(),
            env=dict(command.environment),
            cwd=command.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop_groups(stops: Mapping[ProcessRecord, signal.Signals], grace_s: float) -> None:
    """Stop process groups together: each its own signal, then SIGKILL after the grace period.

    Groups are given by the record of their leader, which may be dead already: what it left
    behind is stopped all the same.
    """
    for record, stop_signal in stops.items():
        signal_group(record, stop_signal)
    deadline = time.monotonic() + grace_s
    remaining = list(stops)
    while remaining and time.monotonic() < deadline:
        remaining = [record for record in remaining if group_members(record)]
        if remaining:
            time.sleep(_POLL_S)
    for record in remaining:
        signal_group(record, signal.SIGKILL)
        wait_until_gone(record, timeout_s=5.0)


def stop_group(record: ProcessRecord, stop_signal: signal.Signals, grace_s: float) -> None:
    """Stop one process group; see :func:`stop_groups`."""
    stop_groups({record: stop_signal}, grace_s)


def wait_until_gone(record: ProcessRecord, timeout_s: float) -> bool:
    """Wait until no process of the group is left; tell whether that happened."""
    deadline = time.monotonic() + timeout_s
    while group_members(record):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def signal_group(record: ProcessRecord, which: signal.Signals) -> None:
    """Send a signal to every process of a group that is still the recorded one."""
    if group_members(record):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(record.pid, which)


def group_members(record: ProcessRecord) -> list[int]:
    """Return the ids of the living processes of the group that ``record`` leads or led."""
    if record.is_alive():
        return [record.pid]
    members = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) != record.pid:
                continue
            is_later = process.create_time() >= record.started - _START_TIME_TOLERANCE_S
            if is_later and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return members


def tail(log: Path, lines: int = 30) -> str:
    """Return the last lines of a log file, empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 65536))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
