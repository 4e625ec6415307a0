"""Voices and the samples that they were made from."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from mynah.db.models.base import Base, CreatedAt, Document, Id

# Which of a voice's facts tells the size of which of its objects, in bytes
SIZE_FACTS = {
    "reference_audio": "reference_size_bytes",
    "engine_profile": "profile_size_bytes",
    "recorded": "recorded_size_bytes",
    "spoken_sample": "sample_size_bytes",
}


class Voice(Base):
    """Whom a user may speak as.

    ``user_id`` None: a public built-in voice of an engine, spoken with ``engine_voice``.
    ``objects`` maps a role (reference_audio, engine_profile, recorded, spoken_sample) to its
    object key. ``profile_version`` changes when the profile does: caches key on it.
    """

    __tablename__ = "voices"

    id: Mapped[Id]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    language: Mapped[str]
    kids: Mapped[bool] = mapped_column(default=False)
    engine: Mapped[str]
    engine_voice: Mapped[str | None]
    state: Mapped[str]
    visibility: Mapped[str]
    consent: Mapped[Document | None]
    objects: Mapped[Document] = mapped_column(default=dict)
    facts: Mapped[Document] = mapped_column(default=dict)
    profile_version: Mapped[int] = mapped_column(default=1)
    # DictionaryRefs that apply to everything this voice speaks
    dictionaries: Mapped[list[Document]] = mapped_column(default=list, server_default="[]")
    job_id: Mapped[UUID | None]
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())

    __table_args__ = (
        Index("ix_voices_user_id_id", "user_id", "id"),
        Index("ix_voices_visibility", "visibility"),
    )


class VoiceSample(Base):
    """Which samples a voice was made from."""

    __tablename__ = "voice_samples"

    voice_id: Mapped[UUID] = mapped_column(
        ForeignKey("voices.id", ondelete="CASCADE"), primary_key=True
    )
    sample_id: Mapped[UUID] = mapped_column(
        ForeignKey("samples.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    ordinal: Mapped[int]
