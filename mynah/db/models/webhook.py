"""Webhooks and the deliveries to them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, func, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from mynah.db.models.base import Base, CreatedAt, Id


class Webhook(Base):
    """An address that is told of a user's events.

    ``sealed_secret`` makes signatures, so it has to be read again: sealed, not hashed.
    ``failing_since``: the first of the attempts that failed without one success since.
    ``failures``: deliveries in a row that were given up; too many disable the webhook, and
    ``disabled_reason`` says so.
    """

    __tablename__ = "webhooks"

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    url: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    events: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    sealed_secret: Mapped[bytes]
    enabled: Mapped[bool] = mapped_column(default=True)
    disabled_reason: Mapped[str | None]
    failing_since: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())

    __table_args__ = (Index("ix_webhooks_user_id_id", "user_id", "id"),)


class WebhookDelivery(Base):
    """One message to one webhook: written with what it tells of, then sent by a worker.

    ``body`` is sent as it is. While ``claim_token`` is set somebody sends it; if that one dies,
    it is due again at ``next_attempt_at``, as after a failed attempt. ``error`` is a code.
    """

    __tablename__ = "webhook_deliveries"

    id: Mapped[Id]
    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    event: Mapped[str]
    body: Mapped[str]
    state: Mapped[str]
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    claim_token: Mapped[UUID | None]
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=func.now())
    replay_of: Mapped[UUID | None]
    response_status: Mapped[int | None]
    response_excerpt: Mapped[str | None]
    error: Mapped[str | None]
    attempted_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        Index("ix_webhook_deliveries_webhook_id_id", "webhook_id", "id"),
        Index(
            "ix_webhook_deliveries_pending",
            *("webhook_id", "next_attempt_at"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index("ix_webhook_deliveries_created_at", "created_at"),
    )
