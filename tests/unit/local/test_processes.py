"""Processes are recognised by id and start time, and groups end as a whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psutil
import pytest

from deploy.local.accounts import Account, choose_folder, is_reachable_by_others, system_folder
from deploy.local.processes import (
    Command,
    ProcessRecord,
    group_members,
    kill_group,
    start,
    stop_groups,
    tail,
)
from tests.parts import wait_for
from tests.parts.process import ROOT

ENVIRONMENT = {"PATH": os.defpath}


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = start(Command(["sleep", "60"], ENVIRONMENT), tmp_path / "log")
    yield process
    process.kill()
    process.wait()


def test_a_record_knows_its_process(sleeper: subprocess.Popen[bytes]) -> None:
    assert ProcessRecord.of(sleeper.pid).is_alive()


def test_a_record_from_before_a_reboot_hits_nobody(sleeper: subprocess.Popen[bytes]) -> None:
    stale = ProcessRecord(sleeper.pid, started=time.time() + 3600)
    stop_groups({stale: signal.SIGTERM}, grace_s=1)
    assert not stale.is_alive()
    assert not group_members(stale)
    assert sleeper.poll() is None


def test_a_zombie_does_not_count_as_alive(sleeper: subprocess.Popen[bytes]) -> None:
    record = ProcessRecord.of(sleeper.pid)
    os.kill(sleeper.pid, signal.SIGKILL)
    wait_for(lambda: psutil.Process(sleeper.pid).status() == psutil.STATUS_ZOMBIE, 5, "zombie")
    assert not record.is_alive()


def test_killing_a_group_that_is_gone_does_nothing() -> None:
    kill_group(ProcessRecord(2**22 - 1, started=0.0))


def test_children_stop_when_the_one_who_started_them_is_killed(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, signal;"
        "from deploy.local.processes import Command, start;"
        "child = start(Command(['sleep', '60'], {'PATH': os.defpath}), pathlib.Path('log'));"
        "pathlib.Path('pid').write_text(str(child.pid));"
        "import time; time.sleep(0.3);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    child = int((tmp_path / "pid").read_text())
    wait_for(lambda: not psutil.pid_exists(child) or _is_zombie(child), 5, "the child is gone")


def test_who_stands_back_leaves_the_processor_to_others(tmp_path: Path) -> None:
    processor = min(os.sched_getaffinity(0))
    work = f"import os; os.sched_setaffinity(0, {{{processor}}})\nwhile True: pass"
    argv = [sys.executable, "-S", "-c", work]
    with ExitStack() as ending:

        def begin(niceness: int) -> psutil.Process:
            started = start(Command(argv, ENVIRONMENT, niceness=niceness), tmp_path / "log")
            ending.callback(started.wait)
            ending.callback(started.kill)
            return psutil.Process(started.pid)

        patient, eager = begin(10), begin(0)
        for process in (patient, eager):
            wait_for(partial(_has_worked, process), 20, "it works")
        before, goal = patient.cpu_times().user, eager.cpu_times().user + 0.4
        wait_for(lambda: eager.cpu_times().user >= goal, 20, "the other one works")
        assert patient.cpu_times().user - before < 0.2


def test_the_tail_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(f"line {number}" for number in range(100)))
    assert tail(log, lines=2) == "line 98\nline 99"
    assert tail(tmp_path / "none") == ""


def test_another_account_gets_its_folder_where_it_can_reach_it(tmp_path: Path) -> None:
    open_home, closed_home = tmp_path / "open" / "home", tmp_path / "closed" / "home"
    for home, mode in ((open_home, 0o755), (closed_home, 0o700)):
        home.mkdir(parents=True)
        home.parent.chmod(mode)
    account = Account(65534, 65534)
    assert choose_folder(closed_home, "postgres", None) == closed_home / "postgres"
    assert choose_folder(closed_home, "postgres", account) == (
        system_folder(closed_home) / "postgres"
    )
    if is_reachable_by_others(tmp_path):
        assert choose_folder(open_home, "postgres", account) == open_home / "postgres"


def _has_worked(process: psutil.Process) -> bool:
    return bool(process.cpu_times().user > 0.1)


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
