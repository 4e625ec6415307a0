"""The supervisor keeps parts running, in order, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.local.environment import Layout
from deploy.local.parts import Launch, Part, StackParts, says
from deploy.local.processes import Command, ProcessRecord, group_members
from deploy.local.state import PartState, PartStatus, read_state
from deploy.local.supervisor import Supervisor, Timing
from tests.parts import wait_for

SLEEP = Command(["sleep", "60"], {"PATH": os.defpath})
SUCCEED = Command(["true"], {"PATH": os.defpath})
FAIL = Command(["sh", "-c", "echo no such column; exit 1"], {"PATH": os.defpath})
TIMING = Timing(first_delay_s=0.1, grace_s=1.0)


def python(script: str) -> Command:
    return Command([sys.executable, "-c", script], {"PATH": os.defpath, "PYTHONUNBUFFERED": "1"})


def part(name: str, command: Command = SLEEP, is_ready: bool = True) -> Part:
    return Part(name, lambda: command, lambda _: is_ready)


class Stack:
    """A supervisor that the test drives step by step."""

    def __init__(self, layout: Layout, parts: StackParts) -> None:
        self.layout = layout
        self.supervisor = Supervisor(layout, {"gateway": 1}, parts, TIMING)

    def status(self, name: str) -> PartStatus:
        state = read_state(self.layout)
        assert state is not None
        return next(part for part in state.parts if part.name == name)

    def process(self, name: str) -> ProcessRecord:
        process = self.status(name).process
        assert process is not None
        return process

    def step_until(self, condition: Callable[[], bool], message: str) -> None:
        def step_and_look() -> bool:
            self.supervisor.step()
            return condition()

        wait_for(step_and_look, 10, message)

    def step_until_ready(self, *names: str) -> None:
        self.step_until(
            lambda: all(self.status(name).state == PartState.READY for name in names),
            f"{names} ready",
        )


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    layout = Layout(tmp_path)
    layout.create()
    stacks = []

    def build_stack(
        servers: list[Part], services: list[Part], migration: Command = SUCCEED
    ) -> Stack:
        stacks.append(Stack(layout, StackParts(servers, migration, services)))
        return stacks[-1]

    yield build_stack
    for stack in stacks:
        stack.supervisor.stop()


def test_a_dead_part_comes_back_within_a_second(build: Callable[..., Stack]) -> None:
    stack = build([], [part("worker")])
    stack.step_until_ready("worker")
    before = stack.process("worker")
    os.kill(before.pid, signal.SIGKILL)
    wait_for(lambda: not before.is_alive(), 5, "dead")
    killed_at = time.monotonic()
    stack.step_until(lambda: stack.status("worker").process not in (None, before), "restarted")
    assert time.monotonic() - killed_at < 1
    assert stack.status("worker").exits == 1


def test_what_a_dead_part_left_behind_is_killed_before_it_restarts(
    build: Callable[..., Stack],
) -> None:
    parent = python(
        "import subprocess, time; subprocess.Popen(['sleep', '60']); print('go'); time.sleep(60)"
    )
    stack = build([], [Part("parent", lambda: parent, says("go"))])
    stack.step_until_ready("parent")
    before = stack.process("parent")
    os.kill(before.pid, signal.SIGKILL)
    wait_for(lambda: not before.is_alive(), 5, "dead")
    assert group_members(before)
    stack.step_until(lambda: stack.status("parent").exits == 1, "death noticed")
    assert not group_members(before)


def test_a_part_that_keeps_dying_is_started_less_and_less_often(
    build: Callable[..., Stack],
) -> None:
    stack = build([], [part("broken", FAIL)])
    stack.step_until(lambda: stack.status("broken").exits == 3, "three deaths")
    log = (stack.layout.log("broken")).read_text()
    assert log.count("no such column") == 3


def test_services_wait_for_servers_and_the_migration(build: Callable[..., Stack]) -> None:
    ready: list[Launch] = []
    server = Part("server", lambda: SLEEP, lambda launch: bool(ready))
    stack = build([server], [part("service")])
    stack.step_until(lambda: stack.status("server").state == PartState.STARTING, "starting")
    for _ in range(3):
        stack.supervisor.step()
    assert stack.status("service").state == PartState.WAITING
    ready.append(Launch(stack.layout.log("server"), 0, 0.0))
    stack.step_until_ready("server", "service")


def test_what_is_not_essential_starts_last(build: Callable[..., Stack]) -> None:
    ready: list[bool] = []
    essential = Part("worker", lambda: SLEEP, lambda _: bool(ready))
    extra = Part("viewer", lambda: SLEEP, lambda _: True, is_essential=False)
    stack = build([], [extra, essential])
    stack.step_until(lambda: stack.status("worker").state == PartState.STARTING, "starting")
    assert stack.status("viewer").state == PartState.WAITING
    ready.append(True)
    stack.step_until_ready("worker", "viewer")


def test_a_failed_migration_starts_no_service(build: Callable[..., Stack]) -> None:
    stack = build([part("server")], [part("service")], FAIL)
    stack.step_until(
        lambda: "no such column" in _read(stack.layout.log("migrate")), "migration ran"
    )
    assert stack.supervisor.run() is False
    state = read_state(stack.layout)
    assert state is not None and state.failed_part == "migrate"
    assert stack.status("service").exits == 0


def test_stopping_leaves_no_process_of_any_group(build: Callable[..., Stack]) -> None:
    stubborn = python(
        "import signal, subprocess, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "subprocess.Popen(['sleep', '60']); print('go'); time.sleep(60)"
    )
    stack = build([part("server")], [Part("stubborn", lambda: stubborn, says("go"))])
    stack.step_until_ready("server", "stubborn")
    records = [stack.process("server"), stack.process("stubborn")]
    stack.supervisor.stop()
    assert not any(group_members(record) for record in records)
    assert stack.status("stubborn").state == PartState.STOPPED


def test_a_part_that_cannot_be_started_does_not_hinder_the_others(
    build: Callable[..., Stack],
) -> None:
    def explode() -> Command:
        raise RuntimeError("no binary")

    stack = build([], [Part("broken", explode, lambda _: True), part("sound")])
    stack.step_until_ready("sound")
    assert stack.status("broken").state == PartState.RESTARTING
    assert "no binary" in _read(stack.layout.log("broken"))


def test_readiness_by_a_line_looks_only_at_this_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("worker ready\n")
    is_ready = says("worker ready", patience_s=5)
    assert is_ready(Launch(log, 0, age_s=1))
    assert not is_ready(Launch(log, log.stat().st_size, age_s=1))
    assert is_ready(Launch(log, log.stat().st_size, age_s=6))


def _read(log: Path) -> str:
    return log.read_text() if log.exists() else ""
