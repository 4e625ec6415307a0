"""Claims find their step by one index only: the other one holds what was sent

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.drop_index("ix_steps_ready", table_name="steps")
    op.create_index(
        "ix_steps_sent",
        "steps",
        ["queue", "sent_at"],
        unique=False,
        postgresql_where=sa.text("state = 'ready' AND sent_at IS NOT NULL"),
    )


def downgrade() -> None:
    """Revert."""
    op.drop_index("ix_steps_sent", table_name="steps")
    op.create_index(
        "ix_steps_ready",
        "steps",
        ["queue", "sent_at"],
        unique=False,
        postgresql_where=sa.text("state = 'ready'"),
    )
