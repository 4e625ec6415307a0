"""Voice samples: uploaded recordings."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from mynah.db.models.base import Base, CreatedAt, Document, Id


class Sample(Base):
    """A recording as it was uploaded, with what was measured on it.

    ``measurements`` and ``verdict`` are filled by ``audio.analyze``.
    """

    __tablename__ = "samples"

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str]
    filename: Mapped[str]
    content_type: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    object_key: Mapped[str]
    state: Mapped[str]
    measurements: Mapped[Document | None]
    verdict: Mapped[Document | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    created_at: Mapped[CreatedAt]

    __table_args__ = (Index("ix_samples_user_id_id", "user_id", "id"),)
