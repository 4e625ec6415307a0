"""Deliveries: at least once, tried again, to public addresses only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from pydantic import SecretStr

from mynah.settings import Settings
from mynah.webhooks.delivery import Deliverer
from tests.integration.api.gateway import Account, Gateway
from tests.integration.api.receiver import DRIP, LATE, MOVED, Receiver, open_receiver
from tests.integration.api.webhooks.hooks import (
    create,
    deliver_all,
    log_of,
    send_test,
    show,
    until,
)


def test_a_failed_attempt_is_repeated_with_the_same_body(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    receiver.answers = [500, 503]
    hook = create(api, user, receiver.url())
    send_test(api, user, hook)
    deliver_all(api, deliverer, hook)
    assert len(receiver.received) == 3
    assert len({got.body for got in receiver.received}) == 1
    assert len({got.headers["Mynah-Delivery"] for got in receiver.received}) == 1
    (entry,) = log_of(api, user, hook)
    assert (entry["state"], entry["attempts"], entry["error"]) == ("delivered", 3, None)
    assert show(api, user, hook)["failing_since"] is None


@pytest.mark.parametrize(
    ("path", "error"), [(LATE, "timeout"), (DRIP, "timeout"), (MOVED, "redirect_refused")]
)
def test_receivers_that_are_slow_or_elsewhere_are_failures(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer, path: str, error: str
) -> None:
    receiver.hold.clear()
    hook = create(api, user, receiver.url(path))
    send_test(api, user, hook)
    deliver_all(api, deliverer, hook)
    (entry,) = log_of(api, user, hook)
    assert (entry["state"], entry["attempts"], entry["error"]) == ("failed", 3, error)
    assert {got.path for got in receiver.received} == {path}


def test_a_receiver_that_is_not_there_is_a_failure(
    api: Gateway, user: Account, deliverer: Deliverer
) -> None:
    with open_receiver() as gone:
        url = gone.url()
    hook = create(api, user, url)
    send_test(api, user, hook)
    deliver_all(api, deliverer, hook)
    (entry,) = log_of(api, user, hook)
    assert (entry["error"], entry["response_status"]) == ("connection_failed", None)


@pytest.mark.usefixtures("nothing_waits")
def test_every_address_of_a_host_is_tried(api: Gateway, user: Account, receiver: Receiver) -> None:
    hook = create(api, user, f"http://two.example:{receiver.port}/hook")
    two = Deliverer(
        api.container.new_uow, api.container.settings, lambda *_: ["127.0.0.2", "127.0.0.1"]
    )
    send_test(api, user, hook)
    deliver_all(api, two, hook)
    two.close()
    assert log_of(api, user, hook)[0]["attempts"] == 1
    assert len(receiver.received) == 1


def test_a_receiver_that_does_not_speak_tls_is_a_failure(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    hook = create(api, user, receiver.url().replace("http:", "https:"))
    send_test(api, user, hook)
    deliver_all(api, deliverer, hook)
    assert log_of(api, user, hook)[0]["error"] == "tls_failed"
    assert receiver.received == []


def test_of_a_huge_answer_the_beginning_is_kept(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    receiver.body = b"\x00\xff" + b"a" * 5_000_000
    hook = create(api, user, receiver.url())
    send_test(api, user, hook)
    deliver_all(api, deliverer, hook)
    (entry,) = log_of(api, user, hook)
    assert entry["response_excerpt"] == "\ufffd" + "a" * 998


def test_a_slow_receiver_does_not_hold_up_others(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    receiver.hold.clear()
    slow, quick = create(api, user, receiver.url(LATE)), create(api, user, receiver.url())
    for _ in range(8):
        send_test(api, user, slow)
    deliverer.deliver_due()
    until(lambda: receiver.under_way == 4)  # no more than four to one webhook at a time
    deliverer.deliver_due()
    send_test(api, user, quick)
    deliverer.deliver_due()
    until(lambda: log_of(api, user, quick)[0]["state"] == "delivered")
    assert not any(entry["state"] == "delivered" for entry in log_of(api, user, slow))


def test_what_a_killed_worker_had_claimed_is_sent_by_another(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    hook = create(api, user, receiver.url())
    send_test(api, user, hook)
    with api.container.new_uow() as uow:  # claimed by one who never comes back
        claimed = uow.deliveries.claim_due(timedelta(seconds=0.3), per_webhook=4, limit=9)
        uow.commit()
    assert len(claimed) == 1
    assert deliverer.deliver_due() == 0
    deliver_all(api, deliverer, hook)
    assert len(receiver.received) == 1
    assert log_of(api, user, hook)[0]["attempts"] == 2


@pytest.mark.usefixtures("nothing_waits")
def test_a_late_result_of_an_old_claim_changes_nothing(api: Gateway, user: Account) -> None:
    hook = create(api, user, "http://127.0.0.1:9/")
    delivery = UUID(send_test(api, user, hook)["delivery_id"])
    tokens = []
    for _ in range(2):  # the second takes what the first let go
        with api.container.new_uow() as uow:
            ((row, _),) = uow.deliveries.claim_due(timedelta(0), per_webhook=4, limit=9)
            uow.commit()
            assert row.claim_token is not None
            tokens.append(row.claim_token)
    with api.container.new_uow() as uow:
        assert uow.deliveries.held(delivery, tokens[0]) is None
        assert uow.deliveries.held(delivery, tokens[1]) is not None


@pytest.mark.usefixtures("nothing_waits")
def test_the_address_is_checked_at_every_connection(
    api: Gateway, user: Account, receiver: Receiver
) -> None:
    """A name that was public when the webhook was made means a private address now."""
    hook = create(api, user, f"http://rebound.example:{receiver.port}/hook")
    asked: list[str] = []

    def resolve(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    strict = Settings(**{**api.container.settings.model_dump(), "webhooks_allow_private": False})
    rebound = Deliverer(api.container.new_uow, strict, resolve)
    send_test(api, user, hook)
    deliver_all(api, rebound, hook)
    rebound.close()
    assert receiver.received == []
    assert asked == ["rebound.example"] * 3  # each attempt looks once and connects to what it saw
    assert log_of(api, user, hook)[0]["error"] == "address_refused"
    allowed = Deliverer(api.container.new_uow, api.container.settings, resolve)
    send_test(api, user, hook)
    deliver_all(api, allowed, hook)
    allowed.close()
    (got,) = receiver.received
    assert got.headers["Host"] == f"rebound.example:{receiver.port}"


@pytest.mark.usefixtures("nothing_waits")
def test_a_secret_that_cannot_be_read_is_told_in_the_log(
    api: Gateway, user: Account, receiver: Receiver
) -> None:
    hook = create(api, user, receiver.url())
    other = {**api.container.settings.model_dump(), "jwt_secret": SecretStr("y" * 40)}
    deliverer = Deliverer(api.container.new_uow, Settings(**other))
    send_test(api, user, hook)
    deliver_all(api, deliverer, hook)
    deliverer.close()
    assert receiver.received == []
    assert log_of(api, user, hook)[0]["error"] == "secret_unreadable"
