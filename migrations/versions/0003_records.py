"""Families of refresh tokens

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


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


def downgrade() -> None:
    """Revert."""
    op.drop_column("dictionary_versions", "rule_count")
    op.drop_index(op.f("ix_refresh_tokens_family_id"), table_name="refresh_tokens")
    op.drop_column("refresh_tokens", "family_id")
