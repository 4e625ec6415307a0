"""Webhooks as their owner sees them: made, shown, limited, disabled, replayed, deleted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest

from mynah.contracts.states import JobKind
from mynah.db.clock import utc_now
from mynah.db.models import Webhook
from mynah.webhooks.delivery import Deliverer
from tests.integration.api.gateway import NOBODY, Account, Gateway, error_of
from tests.integration.api.receiver import Receiver
from tests.integration.api.webhooks.hooks import (
    create,
    deliver_all,
    end_job,
    log_of,
    send_test,
    show,
)


def test_a_webhook_shows_its_secret_once(api: Gateway, user: Account) -> None:
    hook = create(api, user, "https://example.org/a", "speech.failed", "batch.completed")
    assert hook["secret"].startswith("whsec_")
    assert hook["events"] == ["batch.completed", "speech.failed"]
    assert "secret" not in show(api, user, hook)
    listed = api.client.get("/api/webhooks", headers=user.auth).get_json()["items"]
    assert listed == [show(api, user, hook)]
    with api.container.new_uow() as uow:
        row = uow.session.get_one(Webhook, UUID(hook["webhook_id"]))
    assert hook["secret"].encode() not in row.sealed_secret


def test_another_users_webhook_is_not_there(api: Gateway, user: Account, bob: Account) -> None:
    hook = create(api, user, "https://example.org/a")
    delivery = send_test(api, user, hook)
    path = f"/api/webhooks/{hook['webhook_id']}"
    for method, of in (
        *(("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate-secret")),
        *(("POST", "/test"), ("GET", "/deliveries")),
        ("POST", f"/deliveries/{delivery['delivery_id']}/replay"),
    ):
        body = {"json": {}} if method == "PATCH" else {}
        answer = api.client.open(path + of, method=method, headers=bob.auth, **body)
        assert error_of(answer, 404)["error_code"] == "webhook_not_found"
    assert api.client.get("/api/webhooks", headers=bob.auth).get_json()["items"] == []


def test_a_delivery_belongs_to_its_webhook(api: Gateway, user: Account) -> None:
    one, other = (create(api, user, "https://example.org/a") for _ in range(2))
    delivery = send_test(api, user, one)["delivery_id"]
    for path in (
        f"{other['webhook_id']}/deliveries/{delivery}",
        f"{one['webhook_id']}/deliveries/{NOBODY}",
    ):
        answer = api.client.post(f"/api/webhooks/{path}/replay", headers=user.auth)
        assert error_of(answer, 404)["error_code"] == "delivery_not_found"


def test_webhooks_are_limited_per_user(api: Gateway, user: Account) -> None:
    for _ in range(4):
        create(api, user, "https://example.org/a")
    body = {"url": "https://example.org/a", "events": ["speech.failed"]}
    answer = api.client.post("/api/webhooks", json=body, headers=user.auth)
    assert error_of(answer, 409)["error_code"] == "too_many_webhooks"


def test_keys_may_not_make_webhooks_unless_asked_for(api: Gateway) -> None:
    app = api.register(scopes=("speech:write",))
    body = {"url": "https://example.org/a", "events": ["speech.failed"]}
    error_of(api.client.post("/api/webhooks", json=body, headers=app.key_auth), 403)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://localhost:5432/", "http://169.254.169.254/", "http://10.0.0.1/"],
)
def test_private_addresses_are_refused_unless_allowed(
    new_gateway: Callable[..., Gateway], url: str
) -> None:
    api = new_gateway()
    user = api.register()
    body = {"url": url, "events": ["speech.failed"]}
    answer = api.client.post("/api/webhooks", json=body, headers=user.auth)
    assert error_of(answer, 422)["error_code"] == "webhook_address_refused"
    hook = create(api, user, "http://93.184.216.34/")
    path = f"/api/webhooks/{hook['webhook_id']}"
    answer = api.client.patch(path, json={"url": url}, headers=user.auth)
    assert error_of(answer, 422)["error_code"] == "webhook_address_refused"


def test_a_repeated_creation_makes_one_webhook(api: Gateway, user: Account) -> None:
    body = {"url": "https://example.org/a", "events": ["speech.failed"]}
    headers = {**user.auth, "Idempotency-Key": "one"}
    first, again = (api.client.post("/api/webhooks", json=body, headers=headers) for _ in range(2))
    assert first.data == again.data
    assert len(api.client.get("/api/webhooks", headers=user.auth).get_json()["items"]) == 1


def test_a_webhook_that_fails_for_good_is_disabled_and_can_be_enabled_again(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    receiver.status = 500
    hook = create(api, user, receiver.url())
    path = f"/api/webhooks/{hook['webhook_id']}"
    for _ in range(2):
        send_test(api, user, hook)
        deliver_all(api, deliverer, hook)
    shown = show(api, user, hook)
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "too_many_failures")
    assert shown["failing_since"] is not None
    refused = api.client.post(f"{path}/test", headers=user.auth)
    assert error_of(refused, 409)["error_code"] == "webhook_disabled"
    end_job(api, user, JobKind.SPEECH)  # what happens meanwhile is not told
    receiver.status = 200
    enabled = api.client.patch(path, json={"enabled": True}, headers=user.auth).get_json()
    assert (enabled["enabled"], enabled["disabled_reason"]) == (True, None)
    assert enabled["failing_since"] is None
    send_test(api, user, hook)
    deliver_all(api, deliverer, hook)
    assert [entry["state"] for entry in log_of(api, user, hook)] == [
        "delivered",
        "failed",
        "failed",
    ]


def test_a_delivery_can_be_replayed_by_hand(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    hook = create(api, user, receiver.url())
    first = send_test(api, user, hook)["delivery_id"]
    deliver_all(api, deliverer, hook)
    path = f"/api/webhooks/{hook['webhook_id']}/deliveries/{first}/replay"
    again = api.client.post(path, headers=user.auth).get_json()
    assert (again["replay_of"], again["state"]) == (first, "pending")
    deliver_all(api, deliverer, hook)
    one, two = receiver.received
    assert one.body == two.body
    assert two.headers["Mynah-Delivery"] == again["delivery_id"] != first


def test_old_deliveries_are_forgotten(api: Gateway, user: Account) -> None:
    hook = create(api, user, "http://127.0.0.1:9/")
    send_test(api, user, hook)
    with api.container.new_uow() as uow:
        uow.deliveries.delete_before(utc_now() + timedelta(seconds=5), 1000)
        uow.commit()
    assert log_of(api, user, hook) == []


def test_deleting_a_webhook_deletes_what_waits_for_it(
    api: Gateway, user: Account, receiver: Receiver, deliverer: Deliverer
) -> None:
    hook = create(api, user, receiver.url())
    send_test(api, user, hook)
    path = f"/api/webhooks/{hook['webhook_id']}"
    assert api.client.delete(path, headers=user.auth).status_code == 204
    assert deliverer.deliver_due() == 0
    error_of(api.client.get(path, headers=user.auth), 404)
