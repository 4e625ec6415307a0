"""What each user used per month, and what each was served of late."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, func
from sqlalchemy.orm import Mapped, mapped_column

from mynah.db.models.base import Base


class Usage(Base):
    """Sums of one user in one month (``period`` = YYYY-MM, UTC).

    ``characters`` counts from the moment of the request (a reservation) and is given back for
    jobs that fail or are cancelled.
    """

    __tablename__ = "usage"

    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    period: Mapped[str] = mapped_column(primary_key=True)
    characters: Mapped[int] = mapped_column(BigInteger, default=0)
    jobs: Mapped[int] = mapped_column(default=0)
    audio_s: Mapped[float] = mapped_column(default=0.0)
    cost: Mapped[float] = mapped_column(default=0.0)
    output_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    saved_bytes: Mapped[int] = mapped_column(BigInteger, default=0)


class ServedShare(Base):
    """How much work of a queue was done for a user of late, in the unit of ``Step.weight``.

    ``served`` fades with time, counted from ``updated_at``; whoever has least is served next.
    """

    __tablename__ = "served_shares"

    queue: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    served: Mapped[float]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
