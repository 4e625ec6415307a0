"""Webhooks, and the deliveries that wait for or went to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from mynah.contracts.webhooks import DeliveryState
from mynah.db.models import Webhook, WebhookDelivery
from mynah.db.repositories.paging import Page, fetch_page

# The oldest due deliveries of each webhook, as many as it may have under way: one while it
# fails, so that a dead receiver does not take the senders from the others, who come first.
_CLAIM = text("""
WITH picked AS (
    SELECT due.id FROM webhooks w JOIN users u ON u.id = w.user_id AND u.is_active
    CROSS JOIN LATERAL (
        SELECT count(*) AS running FROM webhook_deliveries d
        WHERE d.webhook_id = w.id AND d.state = 'pending' AND d.claim_token IS NOT NULL
            AND d.next_attempt_at > now()
    ) busy
    CROSS JOIN LATERAL (
        SELECT d.id, d.next_attempt_at, row_number() OVER (ORDER BY d.next_attempt_at) AS place
        FROM webhook_deliveries d
        WHERE d.webhook_id = w.id AND d.state = 'pending' AND d.next_attempt_at <= now()
        ORDER BY d.next_attempt_at LIMIT :per_webhook
    ) due
    WHERE w.enabled AND due.place + busy.running
        <= CASE WHEN w.failing_since IS NULL THEN :per_webhook ELSE 1 END
    ORDER BY w.failing_since IS NOT NULL, due.next_attempt_at LIMIT :limit
), locked AS (
    SELECT id FROM webhook_deliveries WHERE id IN (SELECT id FROM picked)
        AND state = 'pending' AND next_attempt_at <= now()
    FOR UPDATE SKIP LOCKED
)
UPDATE webhook_deliveries SET claim_token = :token, attempts = attempts + 1,
    attempted_at = now(), next_attempt_at = now() + :lease
WHERE id IN (SELECT id FROM locked) RETURNING id
""")


class WebhookRepository:
    """Webhooks, by owner."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, webhook: Webhook) -> None:
        """Add a webhook."""
        self._session.add(webhook)
        self._session.flush()

    def get(self, user_id: UUID, webhook_id: UUID) -> Webhook | None:
        """One webhook of a user."""
        return self._session.scalar(
            select(Webhook).where(Webhook.id == webhook_id, Webhook.user_id == user_id)
        )

    def locked(self, webhook_id: UUID) -> Webhook | None:
        """A webhook for who changes it, locked until the end of the transaction, read anew."""
        return self._session.scalar(
            select(Webhook)
            .where(Webhook.id == webhook_id)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        )

    def page(self, user_id: UUID, *, cursor: UUID | None, limit: int) -> Page[Webhook]:
        """A page of a user's webhooks."""
        query = select(Webhook).where(Webhook.user_id == user_id)
        return fetch_page(self._session, query, Webhook.id, cursor, limit)

    def count(self, user_id: UUID) -> int:
        """How many webhooks a user has."""
        return self._session.scalar(select(func.count()).where(Webhook.user_id == user_id)) or 0

    def listening(self, user_id: UUID, event: str) -> Sequence[UUID]:
        """The ids of a user's webhooks that want an event; they cannot be deleted meanwhile."""
        return self._session.scalars(
            select(Webhook.id)
            .where(Webhook.user_id == user_id, Webhook.enabled, Webhook.events.contains([event]))
            .order_by(Webhook.id)
            .with_for_update(read=True, key_share=True)
        ).all()

    def delete(self, webhook: Webhook) -> None:
        """Remove a webhook with its deliveries."""
        self._session.delete(webhook)


class DeliveryRepository:
    """Deliveries, by webhook."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, delivery: WebhookDelivery) -> None:
        """Add a delivery; it is sent after the commit."""
        self._session.add(delivery)

    def get(self, webhook_id: UUID, delivery_id: UUID) -> WebhookDelivery | None:
        """One delivery to a webhook."""
        return self._session.scalar(
            select(WebhookDelivery).where(
                WebhookDelivery.id == delivery_id, WebhookDelivery.webhook_id == webhook_id
            )
        )

    def page(
        self, webhook_id: UUID, *, state: str | None, cursor: UUID | None, limit: int
    ) -> Page[WebhookDelivery]:
        """A page of the deliveries to a webhook."""
        query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
        if state is not None:
            query = query.where(WebhookDelivery.state == state)
        return fetch_page(self._session, query, WebhookDelivery.id, cursor, limit)

    def claim_due(
        self, lease: timedelta, *, per_webhook: int, limit: int
    ) -> list[tuple[WebhookDelivery, Webhook]]:
        """Take deliveries that are due; they are due again when the lease is over."""
        if limit <= 0:
            return []
        values = {"token": uuid4(), "lease": lease, "per_webhook": per_webhook, "limit": limit}
        taken = self._session.scalars(_CLAIM, values).all()
        if not taken:
            return []
        rows = self._session.execute(
            select(WebhookDelivery, Webhook)
            .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
            .where(WebhookDelivery.id.in_(taken))
            .execution_options(populate_existing=True)
        )
        return [(delivery, webhook) for delivery, webhook in rows]

    def held(self, delivery_id: UUID, token: UUID) -> WebhookDelivery | None:
        """A delivery for who claimed it, locked; None when it was taken by another since."""
        return self._session.scalar(
            select(WebhookDelivery)
            .where(
                WebhookDelivery.id == delivery_id,
                WebhookDelivery.claim_token == token,
                WebhookDelivery.state == DeliveryState.PENDING,
            )
            .with_for_update()
        )

    def delete_before(self, moment: datetime, limit: int) -> int:
        """Forget old deliveries, whatever became of them."""
        old = select(WebhookDelivery.id).where(WebhookDelivery.created_at < moment).limit(limit)
        deleted = self._session.scalars(
            delete(WebhookDelivery)
            .where(WebhookDelivery.id.in_(old))
            .returning(WebhookDelivery.id)
            .execution_options(synchronize_session=False)
        )
        return len(deleted.all())
