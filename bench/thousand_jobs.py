"""1,000 one-sentence jobs at once: rate, losses, doubles, memory of gateway and workers."""

from __future__ import annotations

import time
from collections.abc import Sequence

import httpx
import psutil

from bench.local_stack import Target
from bench.report import print_row, print_title
from deploy.local import stack
from deploy.local.environment import Layout

JOBS = 1000
ENDED = ("completed", "failed", "cancelled")
TIMEOUT_S = 900.0


def run(target: Target) -> None:
    """Send all, wait for all, compare."""
    print_title(f"{JOBS} one-sentence jobs at once")
    before = _memory_mib()
    started = time.perf_counter()
    with target.client() as client:
        job_ids = []
        for number in range(JOBS):
            body = {"text": f"This is sentence number {number}.", "voice_id": target.voice_id}
            job_ids.append(client.post("/api/tts/generate", json=body).json()["job_id"])
        sent_s = time.perf_counter() - started
        states = wait_for_all(client, job_ids, pause_s=0.5)
        took = time.perf_counter() - started
    after = _memory_mib()
    completed = sum(state == "completed" for state in states.values())
    print_row("sent in", f"{sent_s:.1f} s")
    print_row("jobs/s, first POST to last completed", f"{JOBS / took:.1f}")
    print_row(
        "completed / lost / doubled",
        f"{completed} / {JOBS - completed} / {JOBS - len(set(job_ids))}",
    )
    for part, mib in after.items():
        print_row(f"memory of {part}, before -> after", f"{before[part]:.0f} -> {mib:.0f} MiB")


def wait_for_all(client: httpx.Client, job_ids: Sequence[str], pause_s: float) -> dict[str, str]:
    """Wait until all jobs have ended; their states by id. Raises TimeoutError."""
    deadline = time.monotonic() + TIMEOUT_S
    states: dict[str, str] = {}
    for job_id in job_ids:
        while states.get(job_id) not in ENDED:
            states[job_id] = client.get(f"/api/tts/job/{job_id}").json()["status"]
            if states[job_id] not in ENDED:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"job {job_id} is {states[job_id]}")
                time.sleep(pause_s)
    return states


def _memory_mib() -> dict[str, float]:
    state = stack.find_running(Layout.from_environment())
    found: dict[str, float] = {}
    for part in state.parts if state else ():
        if part.process is None:
            continue
        root = psutil.Process(part.process.pid)
        family = [root, *root.children(recursive=True)]
        found[part.name] = sum(one.memory_info().rss for one in family) / 2**20
    return found
