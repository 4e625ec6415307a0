"""A gateway whose webhooks go to this machine, and who takes them there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import update

from mynah.db.models import WebhookDelivery
from mynah.webhooks.delivery import Deliverer
from tests.integration.api.gateway import Account, Gateway, open_gateway
from tests.integration.api.receiver import Receiver, open_receiver


@pytest.fixture(scope="module")
def api(
    module_database: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway whose operator allows loopback, and who is quick to try again."""
    settings = {
        "webhooks_allow_private": True,
        "webhook_timeout_s": 0.5,
        "webhook_backoff_s": 0.02,
        "webhook_attempts": 3,
        "webhook_disable_after": 2,
        "webhooks_per_user": 4,
    }
    folder = tmp_path_factory.mktemp("objects")
    with open_gateway(module_database, redis_url, folder, **settings) as gateway:
        yield gateway


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with open_receiver() as opened:
        yield opened


@pytest.fixture
def nothing_waits(api: Gateway) -> None:
    """What other tests left to be sent is forgotten."""
    with api.container.new_uow() as uow:
        uow.session.execute(update(WebhookDelivery).values(state="failed"))
        uow.commit()


@pytest.fixture
def deliverer(api: Gateway, nothing_waits: None) -> Iterator[Deliverer]:
    """A worker's senders."""
    opened = Deliverer(api.container.new_uow, api.container.settings)
    yield opened
    opened.close()


@pytest.fixture
def user(api: Gateway) -> Account:
    """Somebody without webhooks."""
    return api.register()
