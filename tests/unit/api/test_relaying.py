"""How the conversations of a gateway's processes are told apart."""

from __future__ import annotations

import subprocess
import sys

NAMES_AFTER_A_FORK = """
import os
from types import SimpleNamespace
from services.api.live.sockets.relaying import Sessions

sessions, session = Sessions(None, 1.0), SimpleNamespace(secret="secret")
child = os.fork()
if child:
    os.waitpid(child, 0)
print(sessions.name(session).partition(".")[0], flush=True)
"""


def test_processes_forked_from_one_gateway_have_names_of_their_own() -> None:
    command = [sys.executable, "-c", NAMES_AFTER_A_FORK]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert len(set(said.stdout.split())) == 2
