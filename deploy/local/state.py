"""What the supervisor writes down about the running stack, for everybody who asks.

Two files: a lock that the kernel releases when the supervisor dies, however it dies, and a
JSON document with the identity of every process.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from deploy.local.environment import Layout
from deploy.local.processes import ProcessRecord

#: Looking whether a supervisor runs takes its lock for a moment; that must not stop a start.
_LOCK_PATIENCE_S = 0.5


class PartState(StrEnum):
    """Where a part stands."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    STOPPED = "stopped"


@dataclass(frozen=True)
class PartStatus:
    """One part, as the supervisor sees it. ``exits`` counts its deaths since the stack started."""

    name: str
    state: PartState
    process: ProcessRecord | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    exits: int = 0
    is_essential: bool = True


@dataclass(frozen=True)
class StackState:
    """The whole stack. ``failed_part`` is set when the supervisor gave up because of one."""

    supervisor: ProcessRecord
    ports: dict[str, int]
    parts: list[PartStatus] = field(default_factory=list)
    failed_part: str | None = None

    @property
    def is_ready(self) -> bool:
        """Tell whether every essential part does its work."""
        essential = [part for part in self.parts if part.is_essential]
        return bool(essential) and all(part.state == PartState.READY for part in essential)

    def find_late(self) -> str:
        """Return the name of the first essential part that does not do its work."""
        late = (p.name for p in self.parts if p.is_essential and p.state != PartState.READY)
        return next(late, "supervisor")


class AlreadyRunning(Exception):
    """Another supervisor holds the lock of this stack."""


def write_state(layout: Layout, state: StackState) -> None:
    """Replace the state in one step: readers see the old one or the new one."""
    unfinished = layout.run / "state.new"
    unfinished.write_text(json.dumps(asdict(state), indent=1))
    unfinished.rename(layout.run / "state.json")


def read_state(layout: Layout) -> StackState | None:
    """Return what was last written, or None. It may be stale: see :func:`find_supervisor`."""
    try:
        document = json.loads((layout.run / "state.json").read_text())
    except FileNotFoundError:
        return None
    parts = [_parse_part(part) for part in document["parts"]]
    supervisor = ProcessRecord(**document["supervisor"])
    return StackState(supervisor, document["ports"], parts, document["failed_part"])


@contextlib.contextmanager
def hold_lock(layout: Layout) -> Iterator[None]:
    """Be the only supervisor of this stack.

    Raises:
        AlreadyRunning: there is one.
    """
    descriptor = os.open(_lock_file(layout), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + _LOCK_PATIENCE_S
        while not _try_lock(descriptor):
            if time.monotonic() > deadline:
                raise AlreadyRunning
            time.sleep(0.02)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        os.close(descriptor)


def find_supervisor(layout: Layout) -> int | None:
    """Return the process id of the supervisor that runs, or None."""
    try:
        descriptor = os.open(_lock_file(layout), os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        # Whoever holds the lock lives: the kernel takes it away from the dead.
        return None if _try_lock(descriptor) else int(os.read(descriptor, 20) or 0) or None
    finally:
        os.close(descriptor)


def _lock_file(layout: Layout) -> Path:
    return layout.run / "lock"


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _parse_part(document: dict[str, Any]) -> PartStatus:
    process = document["process"]
    parsed = {
        "state": PartState(document["state"]),
        "process": ProcessRecord(**process) if process else None,
        "stop_signal": signal.Signals(document["stop_signal"]),
    }
    return PartStatus(**{**document, **parsed})
