"""The local stack as a person uses it: up, a crash here and there, down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.credentials import load_or_create
from deploy.local.environment import Layout, Ports
from deploy.local.parts import answers
from deploy.local.ports import find_spare_port, is_free
from deploy.local.processes import ProcessRecord, group_members
from deploy.local.state import PartStatus, find_supervisor, read_state
from tests.parts import wait_for
from tests.parts.process import ROOT

pytestmark = pytest.mark.timeout(300)


class Stack:
    """A stack in a folder of its own, driven through its command line."""

    def __init__(self, home: Path) -> None:
        self.layout = Layout(home)
        names = Ports().as_dict()
        self.ports = Ports(**{name: find_spare_port() for name in names})

    def call(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "deploy.local", command, *arguments],
            cwd=ROOT,
            env={**os.environ, "MYNAH_HOME": str(self.layout.home)},
            capture_output=True,
            text=True,
            check=False,
        )

    def up(self) -> subprocess.CompletedProcess[str]:
        result = self.call(
            "up", *(f"--{name}-port={port}" for name, port in self.ports.as_dict().items())
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result

    def parts(self) -> dict[str, PartStatus]:
        state = read_state(self.layout)
        assert state is not None
        return {part.name: part for part in state.parts}

    def process(self, part: str) -> ProcessRecord:
        process = self.parts()[part].process
        assert process is not None
        return process

    def serves(self) -> bool:
        return answers(f"http://127.0.0.1:{self.ports.gateway}/ready")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("stack"))
    running.up()
    yield running
    running.call("down", "--remove-data")


def test_a_second_up_finds_it_running(stack: Stack) -> None:
    before = find_supervisor(stack.layout)
    assert "already runs" in stack.up().stdout
    assert find_supervisor(stack.layout) == before


def test_no_secret_is_printed_or_logged(stack: Stack) -> None:
    printed = stack.up().stdout + stack.call("status").stdout
    logged = "".join(log.read_text(errors="replace") for log in stack.layout.logs.iterdir())
    for line in stack.layout.secrets_file.read_text().splitlines():
        name, _, value = line.partition("=")
        if name.endswith(("PASSWORD", "SECRET", "KEY")):
            assert value not in printed, name
            assert value not in logged, name


def test_the_api_key_of_the_demo_account_works(stack: Stack) -> None:
    key = load_or_create(stack.layout.secrets_file).demo_api_key
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.ports.gateway}/voices", headers={"X-API-Key": key}
    )
    with urllib.request.urlopen(request) as response:
        assert response.status == 200


def test_a_command_runs_with_the_settings_of_the_services(stack: Stack) -> None:
    script = "from mynah.settings import load_settings; print(load_settings().public_url)"
    result = stack.call("exec", sys.executable, "-c", script)
    assert result.stdout.strip() == f"http://127.0.0.1:{stack.ports.gateway}"


@pytest.mark.parametrize("part", ["gateway", "tts-live", "redis"])
def test_a_killed_part_comes_back(stack: Stack, part: str) -> None:
    before = stack.process(part)
    os.killpg(before.pid, signal.SIGKILL)
    wait_for(
        lambda: stack.parts()[part].process not in (None, before), 10, f"{part} is started again"
    )
    wait_for(stack.serves, 60, "the gateway serves again")


def test_restart_replaces_one_part_and_no_other(stack: Stack) -> None:
    before = stack.parts()
    result = stack.call("restart", "gateway")
    assert result.returncode == 0, result.stderr
    after = stack.parts()
    changed = {name for name in after if after[name].process != before[name].process}
    assert "gateway" in changed and "postgres" not in changed
    assert stack.serves()


def test_after_the_supervisor_was_killed_up_starts_a_whole_stack_with_the_same_data(
    stack: Stack,
) -> None:
    secrets = stack.layout.secrets_file.read_text()
    supervisor = find_supervisor(stack.layout)
    assert supervisor is not None
    old = [part.process for part in stack.parts().values() if part.process]
    os.kill(supervisor, signal.SIGKILL)
    assert "already runs" not in stack.up().stdout
    assert stack.serves()
    assert stack.layout.secrets_file.read_text() == secrets
    assert not any(group_members(record) for record in old)


def test_down_leaves_no_process_and_frees_the_ports(stack: Stack) -> None:
    records = [part.process for part in stack.parts().values() if part.process]
    assert stack.call("down").returncode == 0
    assert not any(group_members(record) for record in records)
    assert all(is_free(port) for port in stack.ports.as_dict().values())
    assert "does not run" in stack.call("status").stdout
