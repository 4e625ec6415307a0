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
_AUTOGROUP_PATIENCE_S = 2.0


@dataclass(frozen=True)
class Command:
    """What to start, and how it likes to be stopped."""

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    #: How far the process, with all that it starts, stands back for others, 0 to 19.
    niceness: int = 0

    def full_argv(self) -> list[str]:
        """Return the argument list behind ``setpriv``, which sets account and death signal."""
        prefix = ["setpriv", "--pdeathsig", self.stop_signal.name.removeprefix("SIG")]
        if self.account is not None:
            prefix += [
                f"--reuid={self.account.user_id}",
                f"--regid={self.account.group_id}",
                "--clear-groups",
            ]
        if self.niceness:
            prefix = ["nice", "-n", str(self.niceness), *prefix]
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
        process = subprocess.Popen(
            command.full_argv(),
            env=dict(command.environment),
            cwd=command.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    if command.niceness:
        _stand_back(process.pid, command.niceness)
    return process


def _stand_back(session: int, niceness: int) -> None:
    """Let a whole session stand back for the others.

    Linux with autogroups (sched(7)) shares the processors among sessions first; a process's own
    niceness then only counts among those of its session. Elsewhere there is nothing to do.
    """
    deadline = time.monotonic() + _AUTOGROUP_PATIENCE_S
    while True:
        try:
            Path(f"/proc/{session}/autogroup").write_text(str(niceness))
            return
        except BlockingIOError:  # an ordinary user may do it ten times a second
            if time.monotonic() > deadline:
                return
            time.sleep(_POLL_S)
        except OSError:
            return


def stop_groups(stops: Mapping[ProcessRecord, signal.Signals], grace_s: float) -> None:
    """Stop process groups side by side: first in an orderly way, then by force.

    The leader of each group gets its signal and the time to stop its own children as it
    thinks right. What is left when it is gone, or after the grace period, is killed. A leader
    may be dead already.
    """
    for record, stop_signal in stops.items():
        if record.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(record.pid, stop_signal)
    deadline = time.monotonic() + grace_s
    while any(record.is_alive() for record in stops) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    for record in stops:
        kill_group(record)


def kill_group(record: ProcessRecord) -> None:
    """Kill every process of a group and wait until none is left.

    Raises:
        TimeoutError: the kernel does not let go of one.
    """
    deadline = time.monotonic() + 10.0
    while group_members(record):
        if time.monotonic() > deadline:
            raise TimeoutError(f"process group {record.pid} survives SIGKILL")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(record.pid, signal.SIGKILL)
        time.sleep(_POLL_S)


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
