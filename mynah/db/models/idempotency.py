"""Requests that callers named, so that they can be repeated without doing their work twice."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from mynah.db.models.base import Base, CreatedAt, Document


class NamedRequest(Base):
    """A request with an Idempotency-Key, and the answer to it once there is one.

    ``fingerprint`` tells the same request from another one under the same key. While ``status``
    is None somebody works on it, who holds ``token``, until ``lease_until``. ``sealed_body`` is
    None where the answer was too large to keep.
    """

    __tablename__ = "named_requests"

    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    token: Mapped[UUID]
    lease_until: Mapped[datetime]
    status: Mapped[int | None]
    headers: Mapped[list[Document] | None]
    sealed_body: Mapped[bytes | None]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    created_at: Mapped[CreatedAt]
