"""A studio for the tests of listeners and batches: the gateway, and workers in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.voices.studio import Studio, open_studio
from tests.parts import RedisPart

#: A Redis database of its own: nobody takes these messages.
REDIS_DATABASE = 11


@pytest.fixture(scope="module")
def building(
    module_database: str, redis: RedisPart, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Studio]:
    """The gateway and its workers on a database and a store of the module's own."""
    with redis.client(REDIS_DATABASE) as client:
        client.flushdb()
    folder = tmp_path_factory.mktemp("objects")
    with open_studio(
        module_database, redis.url(REDIS_DATABASE), folder, stream_heartbeat_s=0.2
    ) as opened:
        yield opened


@pytest.fixture
def studio(building: Studio) -> Studio:
    """The studio for an account that has nothing yet."""
    return building.with_new_account()
