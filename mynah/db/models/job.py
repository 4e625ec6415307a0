"""Jobs, their steps, the pieces of speech jobs and their other renditions."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Computed, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from mynah.db.models.base import Base, CreatedAt, Document, Id

_SAVED_BYTES = "CASE WHEN kind = 'speech' THEN CAST(result ->> 'saved_bytes' AS BIGINT) END"
_SYNTHESIS_S = (
    "CASE WHEN kind = 'speech' THEN CAST(result ->> 'synthesis_s' AS DOUBLE PRECISION) END"
)
# Results did not always tell pcm_bytes; those that do not are at the engine's own rate, mono.
_PCM_BYTES = (
    "CASE WHEN kind = 'speech' THEN coalesce(CAST(result ->> 'pcm_bytes' AS BIGINT), "
    "CAST(2 * actual_duration_s * CAST(result ->> 'sample_rate' AS INTEGER) AS BIGINT)) END"
)


class Job(Base):
    """A user's request and what became of it. Only ``mynah.jobs`` moves ``state``."""

    __tablename__ = "jobs"

    id: Mapped[Id]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str]
    state: Mapped[str]
    request: Mapped[Document]
    request_id: Mapped[str] = mapped_column(default="")
    voice_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("voices.id", ondelete="SET NULL"), index=True
    )
    sample_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("samples.id", ondelete="CASCADE"), index=True
    )
    # A batch's items: they belong to it, in this order; the batch goes on when all have ended.
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    position: Mapped[int | None]
    open_children: Mapped[int] = mapped_column(default=0, server_default="0")
    progress: Mapped[float] = mapped_column(default=0.0)
    steps_total: Mapped[int]
    steps_done: Mapped[int] = mapped_column(default=0)
    # In the unit of Step.weight; progress is their ratio.
    work_total: Mapped[float] = mapped_column(default=0.0, server_default="0")
    work_done: Mapped[float] = mapped_column(default=0.0, server_default="0")

    # Before and after (spec T6)
    characters: Mapped[int] = mapped_column(default=0)
    usage_period: Mapped[str | None]
    estimated_duration_s: Mapped[float | None]
    actual_duration_s: Mapped[float | None]
    estimated_cost: Mapped[float | None]
    actual_cost: Mapped[float | None]
    quality_score: Mapped[float | None]
    result: Mapped[Document | None]

    # Figures out of ``result``, where analytics finds them without opening it
    saved_bytes: Mapped[int | None] = mapped_column(
        BigInteger, Computed(_SAVED_BYTES, persisted=True)
    )
    pcm_bytes: Mapped[int | None] = mapped_column(BigInteger, Computed(_PCM_BYTES, persisted=True))
    synthesis_s: Mapped[float | None] = mapped_column(Computed(_SYNTHESIS_S, persisted=True))

    # The output artifact
    output_key: Mapped[str | None]
    output_format: Mapped[str | None]
    output_size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    expires_at: Mapped[datetime | None]
    has_work_files: Mapped[bool] = mapped_column(default=False)

    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_jobs_user_id_id", "user_id", "id"),
        Index("ix_jobs_parent_id_position", "parent_id", "position"),
        Index("ix_jobs_open", "state", postgresql_where=text("state IN ('pending','processing')")),
        Index("ix_jobs_expires_at", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
        Index("ix_jobs_work_files", "ended_at", postgresql_where=text("has_work_files")),
        Index(
            "ix_jobs_figures",
            *("user_id", "created_at"),
            postgresql_include=[
                *("state", "error_code", "characters", "actual_duration_s", "output_size_bytes"),
                *("saved_bytes", "pcm_bytes", "synthesis_s", "quality_score", "started_at"),
            ],
            postgresql_where=text("kind = 'speech'"),
        ),
        Index(
            "ix_jobs_stored",
            "user_id",
            postgresql_include=["output_size_bytes", "expires_at"],
            postgresql_where=text("output_key IS NOT NULL"),
        ),
    )


class Step(Base):
    """The part of a job that one task claims.

    Steps of one ``stage`` run in parallel; a stage starts when the one before is done.
    ``claim_token`` fences: only the attempt that holds it may finish the step. ``weight`` is
    the step's share of its job's work, for speech in seconds of audio to be made.
    """

    __tablename__ = "steps"

    id: Mapped[Id]
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    user_id: Mapped[UUID]  # the job's, so that a claim finds the users who wait
    task: Mapped[str]
    queue: Mapped[str]
    stage: Mapped[int]
    ordinal: Mapped[int]
    weight: Mapped[float] = mapped_column(default=1.0, server_default="1")
    state: Mapped[str]
    attempts: Mapped[int] = mapped_column(default=0)
    claim_token: Mapped[UUID | None]
    lease_until: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    sent_count: Mapped[int] = mapped_column(default=0)

    __table_args__ = (
        Index("ix_steps_job_id_stage_ordinal", "job_id", "stage", "ordinal"),
        # Not of all that are ready: the planner must not take it for claims, which it would slow.
        Index(
            "ix_steps_sent",
            *("queue", "sent_at"),
            postgresql_where=text("state = 'ready' AND sent_at IS NOT NULL"),
        ),
        Index(
            "ix_steps_claimable",
            *("queue", "task", "user_id", "ordinal", "job_id"),
            postgresql_where=text("state = 'ready'"),
        ),
        Index("ix_steps_running", "lease_until", postgresql_where=text("state = 'running'")),
    )


class Piece(Base):
    """Text for one engine call, and where its segment lies once spoken.

    ``text`` is what the engine reads; ``source_start`` and ``source_end`` say which characters
    of the request it stands for. ``speech`` is a ``PieceSpeech``; ``chapter`` the heading that
    this piece begins. ``words`` (a list of ``SpokenWord``) and ``report`` (a ``PieceReport``)
    come with the segment.
    """

    __tablename__ = "pieces"

    step_id: Mapped[UUID] = mapped_column(
        ForeignKey("steps.id", ondelete="CASCADE"), primary_key=True
    )
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    ordinal: Mapped[int]
    text: Mapped[str]
    source_start: Mapped[int] = mapped_column(default=0, server_default="0")
    source_end: Mapped[int] = mapped_column(default=0, server_default="0")
    speech: Mapped[Document | None]
    chapter: Mapped[str | None]
    pause_after_ms: Mapped[int] = mapped_column(default=0)
    segment_key: Mapped[str | None]
    segment_duration_s: Mapped[float | None]
    synthesis_s: Mapped[float | None]
    words: Mapped[list[Document] | None]
    report: Mapped[Document | None]


class Rendition(Base):
    """A finished job's speech in another format, made once by ``job_id`` of its own.

    ``spec`` names the format with its options, so that the same wish finds the same file.
    """

    __tablename__ = "renditions"

    id: Mapped[Id]
    speech_job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    spec: Mapped[str]
    created_at: Mapped[CreatedAt]

    __table_args__ = (UniqueConstraint("speech_job_id", "spec"),)
