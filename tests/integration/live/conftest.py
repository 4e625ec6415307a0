"""A studio for the tests of listeners and batches, and a real server for what only one shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from deploy.local.ports import HOST, find_spare_port
from tests.integration.api.gateway import Account
from tests.integration.voices.studio import Studio, open_studio
from tests.parts import RedisPart, ServiceProcess

#: A Redis database of its own: nobody takes these messages.
REDIS_DATABASE = 11
MAX_STREAMS, MAX_STREAMS_PER_USER = 4, 3


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
def studio(building: Studio) -> Iterator[Studio]:
    """The studio for an account that has nothing yet."""
    with building.for_one_test() as own:
        yield own


@dataclass(frozen=True)
class Server:
    """The gateway under gunicorn, beside the studio's own on the same database."""

    url: str

    def client(self, account: Account) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=account.auth, timeout=10)

    def listeners(self) -> int:
        """How many streams the server says it serves."""
        text = httpx.get(f"{self.url}/metrics").text
        (line,) = (line for line in text.splitlines() if line.startswith("mynah_streams "))
        return int(float(line.split()[1]))


@pytest.fixture(scope="module")
def server(building: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One process of the gateway, with few streams."""
    settings = building.container.settings
    url = f"{HOST}:{find_spare_port()}"
    environment = {
        "MYNAH_DATABASE_URL": settings.database_url,
        "MYNAH_REDIS_URL": settings.redis_url,
        "MYNAH_STORAGE_DIR": str(settings.storage_dir),
        "MYNAH_JWT_SECRET": settings.jwt_secret.get_secret_value(),
        "MYNAH_MAX_STREAMS": str(MAX_STREAMS),
        "MYNAH_MAX_STREAMS_PER_USER": str(MAX_STREAMS_PER_USER),
        "MYNAH_STREAM_STALL_TIMEOUT_S": "1.5",
        "MYNAH_RATE_LIMIT_PER_MINUTE": "1000000",
    }
    arguments = [
        *("-m", "gunicorn", "--config", "python:services.api.gunicorn_conf"),
        *("--workers", "1", "--bind", url, "services.api.wsgi:app"),
    ]
    log = tmp_path_factory.mktemp("server") / "gateway.log"
    with ServiceProcess.python("gateway", arguments, environment, log) as process:
        process.wait_until_ready(lambda: answers(f"http://{url}/ready"))
        yield Server(f"http://{url}")


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
