"""Send deliveries that are due, each at least once, many receivers at a time.

A delivery is claimed with a lease, sent by a thread of a pool, and settled. A sender that dies
leaves its deliveries to the next: they are due again when the lease is over.
"""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import structlog

from mynah.contracts.webhooks import DeliveryState
from mynah.db.clock import utc_now
from mynah.db.models import Webhook, WebhookDelivery
from mynah.db.sealing import SealBroken
from mynah.db.unit_of_work import UnitOfWorkFactory
from mynah.errors import MynahError
from mynah.settings import Settings
from mynah.webhooks.addresses import Resolver, parse_target, resolve_host
from mynah.webhooks.sending import SendResult, WebhookClient
from mynah.webhooks.signatures import signed_headers, unseal_secret

log = structlog.get_logger(__name__)

PER_WEBHOOK = 4
# How long an attempt may take beside its timeout: looking up the name, and the database.
_LEASE_MARGIN_S = 55.0
_JITTER = 0.25
TOO_MANY_FAILURES = "too_many_failures"


class Deliverer:
    """Sends what is due, with so many threads in this process."""

    def __init__(
        self, new_uow: UnitOfWorkFactory, settings: Settings, resolve: Resolver = resolve_host
    ) -> None:
        self._new_uow = new_uow
        self._settings = settings
        self._client = WebhookClient(
            settings.webhook_timeout_s, resolve, settings.webhooks_allow_private
        )
        self._pool = ThreadPoolExecutor(settings.webhook_senders, "webhook")
        self._free = settings.webhook_senders
        self._lock = threading.Lock()

    def deliver_due(self) -> int:
        """Hand what is due to the free threads and return at once; how many that were."""
        lease = timedelta(seconds=self._settings.webhook_timeout_s + _LEASE_MARGIN_S)
        with self._lock:
            with self._new_uow() as uow:
                claimed = uow.deliveries.claim_due(lease, per_webhook=PER_WEBHOOK, limit=self._free)
                uow.commit()
            self._free -= len(claimed)
        for delivery, webhook in claimed:
            self._pool.submit(self._run, delivery, webhook)
        return len(claimed)

    def close(self) -> None:
        """Wait for what is being sent."""
        self._pool.shutdown()

    def _run(self, delivery: WebhookDelivery, webhook: Webhook) -> None:
        try:
            self._settle(delivery, self._send(delivery, webhook))
        except MynahError as error:  # without a database: due again when the lease is over
            log.warning("delivery_not_settled", error_code=error.code)
        except Exception:
            log.exception("delivery_crashed", delivery_id=str(delivery.id))
        finally:
            with self._lock:
                self._free += 1

    def _send(self, delivery: WebhookDelivery, webhook: Webhook) -> SendResult:
        body = delivery.body.encode()
        try:
            secret = unseal_secret(self._settings.jwt_secret, webhook.id, webhook.sealed_secret)
        except SealBroken:  # MYNAH_JWT_SECRET is another one than when it was sealed
            log.error("webhook_secret_unreadable", webhook_id=str(webhook.id))
            return SendResult("secret_unreadable")
        headers = signed_headers(secret, delivery.event, delivery.id, body)
        return self._client.post(parse_target(webhook.url), body, headers)

    def _settle(self, claimed: WebhookDelivery, result: SendResult) -> None:
        with self._new_uow() as uow:
            webhook = uow.webhooks.locked(claimed.webhook_id)
            if webhook is None or claimed.claim_token is None:
                return
            delivery = uow.deliveries.held(claimed.id, claimed.claim_token)
            if delivery is None:
                return
            delivery.claim_token = None
            delivery.response_status = result.status
            delivery.response_excerpt = result.excerpt
            delivery.error = result.error
            if result.error is None:
                delivery.state, delivery.ended_at = DeliveryState.DELIVERED, utc_now()
                webhook.failing_since, webhook.failures = None, 0
            else:
                self._count_failure(delivery, webhook)
            uow.commit()
        log.info("delivery_attempted", delivery_id=str(claimed.id), error_code=result.error)

    def _count_failure(self, delivery: WebhookDelivery, webhook: Webhook) -> None:
        """Set the next attempt, or give up; too many given up in a row disable the webhook."""
        webhook.failing_since = webhook.failing_since or utc_now()
        if delivery.attempts < self._settings.webhook_attempts:
            delivery.next_attempt_at = utc_now() + self._pause_after(delivery.attempts)
            return
        delivery.state, delivery.ended_at = DeliveryState.FAILED, utc_now()
        webhook.failures += 1
        if webhook.failures >= self._settings.webhook_disable_after and webhook.enabled:
            webhook.enabled, webhook.disabled_reason = False, TOO_MANY_FAILURES
            log.warning("webhook_disabled", webhook_id=str(webhook.id))

    def _pause_after(self, attempts: int) -> timedelta:
        """Twice as long after each attempt, with a quarter more or less."""
        doubled = self._settings.webhook_backoff_s * 2.0 ** (attempts - 1)
        pause_s = min(doubled, self._settings.webhook_backoff_max_s)
        return timedelta(seconds=pause_s * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311
