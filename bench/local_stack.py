"""The running local stack as the benchmarks use it: its address, a key, a voice."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from bench.report import print_machine
from deploy.local import stack
from deploy.local.demo_account import ensure_demo_account
from deploy.local.environment import Layout, StackEnvironment
from deploy.local.errors import LocalStackError


@dataclass(frozen=True)
class Target:
    """Where to send requests."""

    environment: StackEnvironment
    key: str
    voice_id: str

    def client(self) -> httpx.Client:
        """A client with the key."""
        return httpx.Client(
            base_url=self.environment.api_url, headers={"X-API-Key": self.key}, timeout=120.0
        )


def find_target() -> Target:
    """The stack that runs. Raises LocalStackError without one."""
    layout = Layout.from_environment()
    state = stack.find_running(layout)
    if state is None:
        raise LocalStackError("Start the stack first: make up")
    environment = ensure_demo_account(stack.running_environment(layout, state))
    key = environment.credentials.demo_api_key
    with httpx.Client(base_url=environment.api_url, headers={"X-API-Key": key}) as client:
        voices = client.get("/api/voices", params={"name": "Ada", "limit": 1}).json()
    return Target(environment, key, voices["items"][0]["id"])


def run_on_stack(measure: Callable[[Target], None]) -> int:
    """Measure the stack that runs, and say on which machine; the process's exit status."""
    print_machine()
    try:
        measure(find_target())
    except LocalStackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
