"""What a person does with the stack: start it, look at it, restart a part, stop it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable

from deploy.local import processes
from deploy.local.accounts import system_folder
from deploy.local.demo_account import ensure_demo_account
from deploy.local.environment import ROOT, Layout, Ports, StackEnvironment, port_variable
from deploy.local.errors import LocalStackError, PortTaken, StartFailed
from deploy.local.parts import build_parts
from deploy.local.ports import describe_owner, is_free
from deploy.local.state import (
    PartState,
    PartStatus,
    StackState,
    find_supervisor,
    hold_lock,
    read_state,
)
from deploy.local.supervisor import Supervisor

Say = Callable[[str], None]

_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 60.0
_GRACE_S = 12.0
_POLL_S = 0.05
#: A part that dies this often before the stack is ready will not come up by itself.
_HOPELESS_EXITS = 3
#: Parts whose data or connections others depend on: restarted only by name.
_SERVERS = ("postgres", "redis")


def find_running(layout: Layout) -> StackState | None:
    """Return the state of the stack if it runs."""
    return read_state(layout) if find_supervisor(layout) else None


def run(layout: Layout, ports: Ports) -> bool:
    """Be the supervisor until told to stop; tell whether it ended well.

    Raises:
        AlreadyRunning: there is one.
        PortTaken: somebody else has one of the ports.
    """
    layout.create()
    with hold_lock(layout):
        _stop_orphans(layout)
        check_ports(ports)
        shutil.rmtree(layout.metrics, ignore_errors=True)
        environment = StackEnvironment.prepare(layout, ports)
        return Supervisor(layout, ports.as_dict(), build_parts(environment)).run()


def up(layout: Layout, ports: Ports, say: Say) -> StackEnvironment:
    """Start the stack unless it runs; return when it serves.

    Raises:
        PortTaken: somebody else has one of the ports.
        StartFailed: a part does not come up; holds the tail of its log. Nothing is left running.
    """
    running = find_running(layout)
    if running is not None:
        say(f"The stack already runs (supervisor: process {running.supervisor.pid}).")
        return running_environment(layout, running)
    layout.create()
    with hold_lock(layout):
        _stop_orphans(layout)
        check_ports(ports)
        (layout.run / "state.json").unlink(missing_ok=True)
    environment = StackEnvironment.prepare(layout, ports)
    started_at = time.monotonic()
    supervisor = _spawn_supervisor(layout, ports)
    try:
        _wait_until_ready(layout, supervisor, say)
        environment = ensure_demo_account(environment)
    except BaseException:
        if find_supervisor(layout) == supervisor.pid:  # and not somebody else's, who was quicker
            down(layout, lambda _: None)
        raise
    say(f"The stack is ready after {time.monotonic() - started_at:.1f} s.")
    return environment


def down(layout: Layout, say: Say) -> None:
    """Stop everything, also what a killed supervisor left behind."""
    supervisor = find_supervisor(layout)
    if supervisor is None:
        say("The stack does not run.")
    else:
        say("Stopping …")
        os.kill(supervisor, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while find_supervisor(layout) == supervisor:
            if time.monotonic() > deadline:
                os.kill(supervisor, signal.SIGKILL)
            time.sleep(_POLL_S)
        say("Stopped.")
    _stop_orphans(layout)


def restart(layout: Layout, name: str | None, say: Say) -> None:
    """Restart one part, or (without a name) every service, and wait until it works again.

    Raises:
        LocalStackError: the stack does not run, or has no such part.
    """
    state = _require_running(layout)
    known = {part.name: part for part in state.parts}
    if name is not None and name not in known:
        raise LocalStackError(f"There is no part '{name}'. The parts are: {', '.join(known)}.")
    names = [name] if name else [part for part in known if part not in _SERVERS]
    processes.stop_groups(_stops(part for part in state.parts if part.name in names), _GRACE_S)
    before = {part: known[part].process for part in names}
    deadline = time.monotonic() + _START_TIMEOUT_S
    while names:
        current = {part.name: part for part in _require_running(layout).parts}
        for part in [part for part in names if _is_new(current[part], before[part])]:
            say(f"  {part} is back (process {getattr(current[part].process, 'pid', '?')})")
            names.remove(part)
        if time.monotonic() > deadline:
            raise StartFailed(_with_log(layout, names[0], f"{names[0]} does not come back."))
        time.sleep(_POLL_S)


def remove_data(layout: Layout) -> None:
    """Delete everything that the stack has stored. It must not run."""
    shutil.rmtree(layout.home, ignore_errors=True)
    shutil.rmtree(system_folder(layout.home), ignore_errors=True)


def running_environment(layout: Layout, state: StackState) -> StackEnvironment:
    """Return the environment of a running stack: with the ports that it really has."""
    return StackEnvironment.prepare(layout, Ports(**state.ports))


def check_ports(ports: Ports) -> None:
    """Make sure that the ports are free.

    Raises:
        PortTaken: names each that is not, who has it, and how to choose another.
    """
    problems = [
        f"Port {port} for {part} is in use by {describe_owner(port)}. Choose another with "
        f"'make up {port_variable(part).removeprefix('MYNAH_')}=…' or {port_variable(part)}=…"
        for part, port in ports.as_dict().items()
        if not is_free(port)
    ]
    if problems:
        raise PortTaken("\n".join(problems))


def _require_running(layout: Layout) -> StackState:
    state = find_running(layout)
    if state is None:
        raise LocalStackError("The stack does not run. Start it with 'make up'.")
    return state


def _stop_orphans(layout: Layout) -> None:
    """Stop what an earlier supervisor, which was killed, left behind.

    The kernel has already told its children to stop; a child that hangs, and the children's
    children, are found by the identities that it wrote down.
    """
    state = read_state(layout)
    if state is not None:
        processes.stop_groups(_stops(state.parts), _GRACE_S)


def _stops(parts: Iterable[PartStatus]) -> dict[processes.ProcessRecord, signal.Signals]:
    return {part.process: part.stop_signal for part in parts if part.process is not None}


def _spawn_supervisor(layout: Layout, ports: Ports) -> subprocess.Popen[bytes]:
    arguments = [f"--{name}-port={port}" for name, port in ports.as_dict().items()]
    with layout.log("supervisor").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "deploy.local", "run", *arguments],
            env={**os.environ, "MYNAH_HOME": str(layout.home)},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _wait_until_ready(layout: Layout, supervisor: subprocess.Popen[bytes], say: Say) -> None:
    """Follow the start, part by part."""
    started_at = time.monotonic()
    announced: set[str] = set()
    while True:
        has_ended = supervisor.poll() is not None and find_supervisor(layout) is None
        state = read_state(layout)
        for part in state.parts if state else []:
            if part.state == PartState.READY and part.name not in announced:
                announced.add(part.name)
                say(f"  {part.name:<12} ready after {time.monotonic() - started_at:.1f} s")
        if has_ended:
            culprit = (state.failed_part if state else None) or "supervisor"
            raise StartFailed(_with_log(layout, culprit, f"{culprit} failed."))
        if state is not None:
            if state.is_ready:
                return
            _give_up_on_the_hopeless(layout, state)
        if time.monotonic() - started_at > _START_TIMEOUT_S:
            late = state.find_late() if state else "supervisor"
            raise StartFailed(_with_log(layout, late, f"{late} takes too long to start."))
        time.sleep(_POLL_S)


def _give_up_on_the_hopeless(layout: Layout, state: StackState) -> None:
    for part in state.parts:
        if part.is_essential and part.exits >= _HOPELESS_EXITS:
            message = f"{part.name} died {part.exits} times in a row."
            raise StartFailed(_with_log(layout, part.name, message))


def _is_new(part: PartStatus, before: processes.ProcessRecord | None) -> bool:
    return part.state == PartState.READY and part.process != before


def _with_log(layout: Layout, part: str, message: str) -> str:
    log = layout.log(part)
    return f"{message} The end of {log}:\n\n{processes.tail(log)}"
