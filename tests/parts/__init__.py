"""Real parts for tests: servers and services of this repository as child processes.

Ports are spare ones, data lies in a temporary folder, and everything stops with the test run,
even if that is killed.
"""

from tests.parts.database import PostgresPart, clone_database
from tests.parts.object_store import SwiftPart
from tests.parts.process import ServiceProcess, wait_for
from tests.parts.queue import RedisPart

__all__ = [
    "PostgresPart",
    "RedisPart",
    "ServiceProcess",
    "SwiftPart",
    "clone_database",
    "wait_for",
]
