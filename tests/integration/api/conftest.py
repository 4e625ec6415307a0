"""The gateway on a real database and a real Redis, with accounts to call it as."""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from tests.integration.api.gateway import Account, Gateway, open_gateway
from tests.parts import RedisPart

#: A Redis database of its own: the gateway's messages are no business of other tests.
REDIS_DATABASE = 9


@pytest.fixture(scope="module")
def redis_url(redis: RedisPart) -> Iterator[str]:
    """An empty Redis database for the tests of one module."""
    with redis.client(REDIS_DATABASE) as client:
        client.flushdb()
    yield redis.url(REDIS_DATABASE)


@pytest.fixture(scope="module")
def api(
    module_database: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """The gateway with the built-in voices; nobody is registered yet."""
    folder = tmp_path_factory.mktemp("objects")
    with open_gateway(module_database, redis_url, folder) as gateway:
        yield gateway


@pytest.fixture
def new_gateway(
    fresh_database: str, redis_url: str, tmp_path: Path
) -> Iterator[Callable[..., Gateway]]:
    """Open a gateway with settings of the test's own, on a database of its own."""
    opened = []

    def open_with(**settings: object) -> Gateway:
        context = open_gateway(fresh_database, redis_url, tmp_path, **settings)
        opened.append(context)
        return context.__enter__()

    yield open_with
    for context in opened:
        context.__exit__(None, None, None)


@pytest.fixture(scope="module")
def ann(api: Gateway) -> Account:
    """Somebody with an account."""
    return api.register()


@pytest.fixture(scope="module")
def bob(api: Gateway) -> Account:
    """Somebody else with an account."""
    return api.register()


@pytest.fixture(scope="module")
def admin(api: Gateway) -> Account:
    """An administrator."""
    return api.register(role="admin")


@pytest.fixture
def dropped_files() -> Iterator[None]:
    """For spooled files that are left to the collector.

    werkzeug leaves those of a body that it stops reading; a client that does not close an
    answer leaves the one that is sent.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.fixture(scope="package", autouse=True)
def plain_logs() -> Iterator[None]:
    """Log errors in short: structlog's own tracebacks take seconds each to print."""
    shorten = structlog.processors.format_exc_info
    structlog.configure(processors=[shorten, structlog.processors.KeyValueRenderer()])
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def quiet_limiter() -> Iterator[None]:
    """Flask-Limiter complains at length when Redis is away."""
    logger = logging.getLogger("flask-limiter")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)
