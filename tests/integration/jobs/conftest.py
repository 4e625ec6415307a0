"""A database and a runner for the tests of jobs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mynah.jobs.claims import LeaseKeeper
from mynah.jobs.runner import StepRunner
from tests.factories import Database, open_database
from tests.parts import RedisPart

REDIS_DATABASE = 13


@pytest.fixture
def database(fresh_database: str) -> Iterator[Database]:
    database, close = open_database(
        fresh_database, lease_s=0.6, heartbeat_s=0.1, resend_after_s=0.1, max_attempts=3
    )
    yield database
    close()


@pytest.fixture
def redis_url(redis: RedisPart) -> str:
    """An empty Redis database."""
    with redis.client(REDIS_DATABASE) as client:
        client.flushdb()
    return redis.url(REDIS_DATABASE)


@pytest.fixture
def runner(database: Database) -> StepRunner:
    settings = database.settings
    keeper = LeaseKeeper(database.new_uow, settings.lease_s, settings.heartbeat_s)
    return StepRunner(database.new_uow, keeper, settings)
