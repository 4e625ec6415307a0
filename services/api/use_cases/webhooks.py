"""Webhooks: make, change, test, and look at what was sent to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from mynah.contracts.webhooks import TEST_EVENT, DeliveryState
from mynah.db.clock import utc_now
from mynah.db.ids import new_id
from mynah.db.models import Webhook, WebhookDelivery
from mynah.db.unit_of_work import UnitOfWork
from mynah.errors import Conflict, NotFound
from mynah.settings import Settings
from mynah.webhooks.addresses import Resolver, check_url, resolve_host
from mynah.webhooks.outbox import write_deliveries
from mynah.webhooks.signatures import new_secret, seal_secret


@dataclass(frozen=True, slots=True)
class WebhookDraft:
    """A webhook to be made."""

    url: str
    events: Sequence[str]
    description: str = ""


@dataclass(frozen=True, slots=True)
class WebhookChange:
    """What becomes different; None: nothing."""

    url: str | None = None
    events: Sequence[str] | None = None
    description: str | None = None
    enabled: bool | None = None


def check_address(settings: Settings, url: str, resolve: Resolver = resolve_host) -> None:
    """Refuse an address that no webhook may have; before a transaction begins: it may take long.

    Raises InvalidRequest. What the name means later is checked again at every delivery.
    """
    check_url(url, resolve, allow_private=settings.webhooks_allow_private)


def create_webhook(
    uow: UnitOfWork, settings: Settings, user_id: UUID, draft: WebhookDraft
) -> tuple[Webhook, str]:
    """A new webhook with its secret, which is shown once. Raises Conflict at the limit."""
    uow.users.lock(user_id)  # so that two at once do not pass the limit together
    if uow.webhooks.count(user_id) >= settings.webhooks_per_user:
        message = f"You may have {settings.webhooks_per_user} webhooks."
        raise Conflict(message, code="too_many_webhooks")
    webhook_id, secret = new_id(), new_secret()
    webhook = Webhook(
        id=webhook_id,
        user_id=user_id,
        url=draft.url,
        description=draft.description,
        events=list(draft.events),
        sealed_secret=seal_secret(settings.jwt_secret, webhook_id, secret),
    )
    uow.webhooks.add(webhook)
    return webhook, secret


def find_webhook(uow: UnitOfWork, user_id: UUID, webhook_id: UUID) -> Webhook:
    """A user's webhook. Raises NotFound."""
    webhook = uow.webhooks.get(user_id, webhook_id)
    if webhook is None:
        raise NotFound("There is no such webhook.", code="webhook_not_found")
    return webhook


def change_webhook(
    uow: UnitOfWork, user_id: UUID, webhook_id: UUID, change: WebhookChange
) -> Webhook:
    """Change a webhook; one that is enabled again starts with a clean record. Raises NotFound."""
    webhook = _locked(uow, user_id, webhook_id)
    if change.url is not None:
        webhook.url = change.url
    if change.events is not None:
        webhook.events = list(change.events)
    if change.description is not None:
        webhook.description = change.description
    if change.enabled is not None:
        webhook.enabled = change.enabled
        webhook.disabled_reason = None if change.enabled else "by_owner"
        webhook.failing_since, webhook.failures = None, 0
    webhook.updated_at = utc_now()
    return webhook


def rotate_secret(
    uow: UnitOfWork, settings: Settings, user_id: UUID, webhook_id: UUID
) -> tuple[Webhook, str]:
    """Give a webhook another secret; what is sent from now on is signed with it."""
    webhook, secret = _locked(uow, user_id, webhook_id), new_secret()
    webhook.sealed_secret = seal_secret(settings.jwt_secret, webhook_id, secret)
    webhook.updated_at = utc_now()
    return webhook, secret


def send_test(uow: UnitOfWork, user_id: UUID, webhook_id: UUID) -> WebhookDelivery:
    """Send a webhook something harmless. Raises NotFound, Conflict when it is disabled."""
    webhook = _enabled(uow, user_id, webhook_id)
    data = {"webhook_id": str(webhook.id)}
    return _stored(uow, write_deliveries(uow, [webhook.id], TEST_EVENT, data)[0])


def replay_delivery(
    uow: UnitOfWork, user_id: UUID, webhook_id: UUID, delivery_id: UUID
) -> WebhookDelivery:
    """Send a delivery's body once more, as a delivery of its own.

    Raises NotFound, Conflict when the webhook is disabled.
    """
    webhook = _enabled(uow, user_id, webhook_id)
    old = uow.deliveries.get(webhook.id, delivery_id)
    if old is None:
        raise NotFound("There is no such delivery.", code="delivery_not_found")
    again = WebhookDelivery(
        id=new_id(),
        webhook_id=webhook.id,
        event=old.event,
        body=old.body,
        state=DeliveryState.PENDING,
        replay_of=old.id,
    )
    uow.deliveries.add(again)
    return _stored(uow, again)


def _stored(uow: UnitOfWork, delivery: WebhookDelivery) -> WebhookDelivery:
    """With what the database fills in."""
    uow.session.flush()
    uow.session.refresh(delivery)
    return delivery


def _locked(uow: UnitOfWork, user_id: UUID, webhook_id: UUID) -> Webhook:
    find_webhook(uow, user_id, webhook_id)
    webhook = uow.webhooks.locked(webhook_id)
    if webhook is None:
        raise NotFound("There is no such webhook.", code="webhook_not_found")
    return webhook


def _enabled(uow: UnitOfWork, user_id: UUID, webhook_id: UUID) -> Webhook:
    webhook = _locked(uow, user_id, webhook_id)
    if not webhook.enabled:
        raise Conflict("The webhook is disabled; enable it first.", code="webhook_disabled")
    return webhook
