"""Fixtures that every test may use: real parts, started once per run, on spare ports.

A part that this machine lacks skips its tests at home and fails them in CI (``CI=true``).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from deploy.local.errors import PartMissing
from tests.parts import PostgresPart, RedisPart, SwiftPart, clone_database


@pytest.fixture(scope="session")
def parts_folder() -> Iterator[Path]:
    """A folder for the parts' data. Others may pass through it: Postgres drops root's rights."""
    folder = Path(tempfile.mkdtemp(prefix="mynah-parts-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres(parts_folder: Path) -> Iterator[PostgresPart]:
    """A Postgres cluster."""
    yield from _running(PostgresPart(parts_folder))


@pytest.fixture(scope="session")
def redis(parts_folder: Path) -> Iterator[RedisPart]:
    """A Redis; its databases are shared by the whole run."""
    yield from _running(RedisPart(parts_folder))


@pytest.fixture(scope="session")
def swift(parts_folder: Path) -> Iterator[SwiftPart]:
    """An S3 server with real signatures."""
    yield from _running(SwiftPart(parts_folder))


@pytest.fixture
def fresh_database(postgres: PostgresPart) -> Iterator[str]:
    """The address of a migrated, empty database for one test."""
    with clone_database(postgres) as url:
        yield url


@pytest.fixture(scope="module")
def module_database(postgres: PostgresPart) -> Iterator[str]:
    """The address of a migrated, empty database for the tests of one module."""
    with clone_database(postgres) as url:
        yield url


_Part = TypeVar("_Part", PostgresPart, RedisPart, SwiftPart)


def _running(part: _Part) -> Iterator[_Part]:
    try:
        part.start()
    except PartMissing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
    try:
        yield part
    finally:
        part.stop()
