"""Consents that were recorded: somebody says that their voice may be cloned."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from mynah.db.models.base import Base, CreatedAt, Id


class VoiceConsent(Base):
    """A consent's recording, kept as a sample, and in which language it is spoken.

    Voices that were made with it keep a copy of what it says, and outlive it.
    """

    __tablename__ = "voice_consents"

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str]
    language: Mapped[str]
    sample_id: Mapped[UUID] = mapped_column(
        ForeignKey("samples.id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[CreatedAt]

    __table_args__ = (Index("ix_voice_consents_user_id_id", "user_id", "id"),)
