"""Families of refresh tokens, sizes of dictionaries, figures of jobs for analytics

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_SAVED_BYTES = "CASE WHEN kind = 'speech' THEN CAST(result ->> 'saved_bytes' AS BIGINT) END"
_SYNTHESIS_S = (
    "CASE WHEN kind = 'speech' THEN CAST(result ->> 'synthesis_s' AS DOUBLE PRECISION) END"
)
_PCM_BYTES = (
    "CASE WHEN kind = 'speech' THEN coalesce(CAST(result ->> 'pcm_bytes' AS BIGINT), "
    "CAST(2 * actual_duration_s * CAST(result ->> 'sample_rate' AS INTEGER) AS BIGINT)) END"
)


def upgrade() -> None:
    """Apply."""
    op.add_column("refresh_tokens", sa.Column("family_id", sa.Uuid(), nullable=True))
    # What was given out before knows no relatives.
    op.execute("UPDATE refresh_tokens SET family_id = id")
    op.alter_column("refresh_tokens", "family_id", nullable=False)
    op.create_index(
        op.f("ix_refresh_tokens_family_id"), "refresh_tokens", ["family_id"], unique=False
    )
    op.add_column(
        "dictionary_versions",
        sa.Column(
            "rule_count",
            sa.Integer(),
            sa.Computed("jsonb_array_length(rules)", persisted=True),
            nullable=False,
        ),
    )
    op.add_column("jobs", _computed("saved_bytes", sa.BigInteger(), _SAVED_BYTES))
    op.add_column("jobs", _computed("pcm_bytes", sa.BigInteger(), _PCM_BYTES))
    op.add_column("jobs", _computed("synthesis_s", sa.Double(), _SYNTHESIS_S))
    op.create_index(
        "ix_jobs_figures",
        "jobs",
        ["user_id", "created_at"],
        unique=False,
        postgresql_include=[
            *("state", "error_code", "characters", "actual_duration_s", "output_size_bytes"),
            *("saved_bytes", "pcm_bytes", "synthesis_s", "quality_score", "started_at"),
        ],
        postgresql_where=sa.text("kind = 'speech'"),
    )
    op.create_index(
        "ix_jobs_stored",
        "jobs",
        ["user_id"],
        unique=False,
        postgresql_include=["output_size_bytes", "expires_at"],
        postgresql_where=sa.text("output_key IS NOT NULL"),
    )


def _computed(name: str, kind: sa.types.TypeEngine[object], expression: str) -> sa.Column[object]:
    return sa.Column(name, kind, sa.Computed(expression, persisted=True), nullable=True)


def downgrade() -> None:
    """Revert."""
    op.drop_index("ix_jobs_stored", table_name="jobs")
    op.drop_index("ix_jobs_figures", table_name="jobs")
    op.drop_column("jobs", "synthesis_s")
    op.drop_column("jobs", "pcm_bytes")
    op.drop_column("jobs", "saved_bytes")
    op.drop_column("dictionary_versions", "rule_count")
    op.drop_index(op.f("ix_refresh_tokens_family_id"), table_name="refresh_tokens")
    op.drop_column("refresh_tokens", "family_id")
