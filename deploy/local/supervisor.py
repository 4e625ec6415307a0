"""The supervisor: starts the parts in order, restarts what dies, stops everything when told.

One thread, one loop. It never waits for a part: every step looks at what happened and does
what is due, so that a part which hangs holds up nobody else.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.local import processes
from deploy.local.environment import Layout
from deploy.local.parts import Launch, Part, StackParts
from deploy.local.processes import ProcessRecord
from deploy.local.state import PartState, PartStatus, StackState, write_state

_STEP_S = 0.05
_LOG_LIMIT_BYTES = 20 * 1024 * 1024
MIGRATION = "migrate"


@dataclass(frozen=True)
class Timing:
    """How patient the supervisor is."""

    first_delay_s: float = 0.2
    longest_delay_s: float = 10.0
    #: Who lived this long starts with the first delay again.
    healthy_s: float = 30.0
    grace_s: float = 12.0


class SupervisedPart:
    """One part and its current process."""

    def __init__(self, part: Part, log: Path, timing: Timing) -> None:
        self.part = part
        self._log = log
        self._timing = timing
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._log_offset = 0
        self._delay_s = timing.first_delay_s
        self._next_start_at = 0.0
        self.status = PartStatus(part.name, PartState.WAITING, is_essential=part.is_essential)

    def step(self) -> None:
        """Do what is due: notice a death, start again, notice readiness."""
        now = time.monotonic()
        if self._process is None:
            if now >= self._next_start_at:
                self._start(now)
        elif self._process.poll() is not None:
            self._clean_up(now)
        elif self.status.state == PartState.STARTING:
            launch = Launch(self._log, self._log_offset, now - self._started_at)
            if self.part.is_ready(launch):
                self.status = replace(self.status, state=PartState.READY)

    def mark_stopped(self) -> None:
        """Record that the process was stopped on purpose, and reap it."""
        if self._process is not None:
            self._process.wait(timeout=10)
        self.status = replace(self.status, state=PartState.STOPPED, process=None)

    def _start(self, now: float) -> None:
        prepare_log(self._log)
        self._log_offset = self._log.stat().st_size
        try:
            command = self.part.build_command()
            self._process = processes.start(command, self._log)
        except Exception as error:
            # Whatever keeps one part from starting must not end the others.
            with self._log.open("a") as log:
                log.write(f"{self.part.name} cannot be started: {error}\n")
            self._schedule(now)
            return
        self._started_at = now
        self.status = replace(
            self.status,
            state=PartState.STARTING,
            process=ProcessRecord.of(self._process.pid),
            stop_signal=command.stop_signal,
        )

    def _clean_up(self, now: float) -> None:
        if self.status.process is not None:
            processes.kill_group(self.status.process)  # what a dead leader left behind
        self._process = None
        if now - self._started_at > self._timing.healthy_s:
            self._delay_s = self._timing.first_delay_s
        self._schedule(now)

    def _schedule(self, now: float) -> None:
        self._next_start_at = now + self._delay_s
        self._delay_s = min(self._delay_s * 2, self._timing.longest_delay_s)
        self.status = replace(
            self.status, state=PartState.RESTARTING, process=None, exits=self.status.exits + 1
        )


class Supervisor:
    """Runs a stack until it is told to stop. The caller holds the stack's lock."""

    def __init__(
        self, layout: Layout, ports: dict[str, int], parts: StackParts, timing: Timing | None = None
    ) -> None:
        self._layout = layout
        self._timing = timing or Timing()
        self._servers = [self._supervise(part) for part in parts.servers]
        self._services = [self._supervise(part) for part in parts.services]
        self._migration_command = parts.migration
        self._migration: subprocess.Popen[bytes] | None = None
        self._has_served = False
        self._must_stop = False
        self._state = StackState(ProcessRecord.of(os.getpid()), ports)

    def run(self) -> bool:
        """Run until SIGTERM or SIGINT; tell whether nothing went wrong."""
        for which in (signal.SIGTERM, signal.SIGINT):
            signal.signal(which, self._ask_to_stop)
        try:
            while not self._must_stop:
                self.step()
                time.sleep(_STEP_S)
        finally:
            self.stop()
        return self._state.failed_part is None

    def step(self) -> None:
        """Look after every part whose turn has come: servers, migration, services."""
        for server in self._servers:
            server.step()
        if self._migration is None:
            if all(server.status.state == PartState.READY for server in self._servers):
                self._start_migration()
        elif self._migration.poll() == 0:
            self._step_services()
        elif self._migration.poll() is not None:
            # Services on a schema that is not theirs would do harm: better none at all.
            self._state = replace(self._state, failed_part=MIGRATION)
            self._must_stop = True
        self._publish()

    def stop(self) -> None:
        """Stop the services, then the servers that they use."""
        self._stop(self._services)
        self._stop(self._servers)

    def _supervise(self, part: Part) -> SupervisedPart:
        return SupervisedPart(part, self._layout.log(part.name), self._timing)

    def _step_services(self) -> None:
        essential = [service for service in self._services if service.part.is_essential]
        self._has_served |= all(part.status.state == PartState.READY for part in essential)
        # What only watches must not take the processor from what serves.
        for service in self._services if self._has_served else essential:
            service.step()

    def _start_migration(self) -> None:
        log = self._layout.log(MIGRATION)
        prepare_log(log)
        self._migration = processes.start(self._migration_command, log)

    def _ask_to_stop(self, *_: object) -> None:
        self._must_stop = True

    def _stop(self, group: list[SupervisedPart]) -> None:
        stops = {
            supervised.status.process: supervised.status.stop_signal
            for supervised in group
            if supervised.status.process
        }
        processes.stop_groups(stops, self._timing.grace_s)
        for supervised in group:
            supervised.mark_stopped()
        self._publish()

    def _publish(self) -> None:
        statuses = [supervised.status for supervised in (*self._servers, *self._services)]
        if statuses != self._state.parts:
            self._state = replace(self._state, parts=statuses)
            write_state(self._layout, self._state)


def prepare_log(log: Path) -> None:
    """Make sure that a log exists and is not huge; the previous one is kept beside it."""
    if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
        log.rename(log.with_suffix(".log.1"))
    log.touch(mode=0o600)
