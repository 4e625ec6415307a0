"""Pronunciation dictionaries and their versions."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Computed, ForeignKey, Index, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from mynah.db.models.base import Base, CreatedAt, Document, Id


class Dictionary(Base):
    """A user's pronunciation dictionary; its rules lie in its versions, the latest applies."""

    __tablename__ = "dictionaries"

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    latest_version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())

    __table_args__ = (Index("ix_dictionaries_user_id_id", "user_id", "id"),)


class DictionaryVersion(Base):
    """The rules of a dictionary at one time; never changed, so that a job can be repeated."""

    __tablename__ = "dictionary_versions"

    id: Mapped[Id]
    dictionary_id: Mapped[UUID] = mapped_column(ForeignKey("dictionaries.id", ondelete="CASCADE"))
    version: Mapped[int]
    rules: Mapped[list[Document]]
    rule_count: Mapped[int] = mapped_column(Computed("jsonb_array_length(rules)", persisted=True))
    created_at: Mapped[CreatedAt]

    __table_args__ = (UniqueConstraint("dictionary_id", "version"),)
