"""Long stories: pieces with speech of their own, batches, dictionaries, renditions, fair shares

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "dictionaries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("latest_version", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_dictionaries_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dictionaries")),
    )
    op.create_index("ix_dictionaries_user_id_id", "dictionaries", ["user_id", "id"], unique=False)
    op.create_table(
        "served_shares",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("served", sa.Double(), nullable=False),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_served_shares_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("queue", "user_id", name=op.f("pk_served_shares")),
    )
    op.create_table(
        "dictionary_versions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("dictionary_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("rules", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["dictionary_id"],
            ["dictionaries.id"],
            name=op.f("fk_dictionary_versions_dictionary_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dictionary_versions")),
        sa.UniqueConstraint(
            "dictionary_id", "version", name=op.f("uq_dictionary_versions_dictionary_id_version")
        ),
    )
    op.create_table(
        "renditions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("speech_job_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_renditions_job_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["speech_job_id"],
            ["jobs.id"],
            name=op.f("fk_renditions_speech_job_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_renditions")),
        sa.UniqueConstraint("speech_job_id", "spec", name=op.f("uq_renditions_speech_job_id_spec")),
    )
    op.create_index(op.f("ix_renditions_job_id"), "renditions", ["job_id"], unique=False)
    op.add_column("jobs", sa.Column("parent_id", sa.Uuid(), nullable=True))
    op.add_column("jobs", sa.Column("position", sa.Integer(), nullable=True))
    op.add_column(
        "jobs", sa.Column("open_children", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("jobs", sa.Column("work_total", sa.Double(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("work_done", sa.Double(), server_default="0", nullable=False))
    op.create_index("ix_jobs_parent_id_position", "jobs", ["parent_id", "position"], unique=False)
    op.create_foreign_key(
        op.f("fk_jobs_parent_id"), "jobs", "jobs", ["parent_id"], ["id"], ondelete="CASCADE"
    )
    op.add_column(
        "pieces", sa.Column("source_start", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column(
        "pieces", sa.Column("source_end", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column(
        "pieces", sa.Column("speech", postgresql.JSONB(astext_type=sa.Text()), nullable=True)
    )
    op.add_column("pieces", sa.Column("chapter", sa.Text(), nullable=True))
    op.add_column(
        "pieces", sa.Column("words", postgresql.JSONB(astext_type=sa.Text()), nullable=True)
    )
    op.add_column(
        "pieces", sa.Column("report", postgresql.JSONB(astext_type=sa.Text()), nullable=True)
    )
    op.add_column("steps", sa.Column("user_id", sa.Uuid(), nullable=True))
    op.execute("UPDATE steps SET user_id = jobs.user_id FROM jobs WHERE jobs.id = steps.job_id")
    op.alter_column("steps", "user_id", nullable=False)
    op.execute("UPDATE jobs SET work_total = steps_total, work_done = steps_done")
    op.add_column("steps", sa.Column("weight", sa.Double(), server_default="1", nullable=False))
    op.create_index(
        "ix_steps_claimable",
        "steps",
        ["queue", "task", "user_id", "ordinal", "job_id"],
        unique=False,
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.add_column(
        "voices",
        sa.Column(
            "dictionaries",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="[]",
            nullable=False,
        ),
    )


def downgrade() -> None:
    """Revert."""
    op.drop_column("voices", "dictionaries")
    op.drop_index(
        "ix_steps_claimable", table_name="steps", postgresql_where=sa.text("state = 'ready'")
    )
    op.drop_column("steps", "weight")
    op.drop_column("steps", "user_id")
    op.drop_column("pieces", "report")
    op.drop_column("pieces", "words")
    op.drop_column("pieces", "chapter")
    op.drop_column("pieces", "speech")
    op.drop_column("pieces", "source_end")
    op.drop_column("pieces", "source_start")
    op.drop_constraint(op.f("fk_jobs_parent_id"), "jobs", type_="foreignkey")
    op.drop_index("ix_jobs_parent_id_position", table_name="jobs")
    op.drop_column("jobs", "work_done")
    op.drop_column("jobs", "work_total")
    op.drop_column("jobs", "open_children")
    op.drop_column("jobs", "position")
    op.drop_column("jobs", "parent_id")
    op.drop_index(op.f("ix_renditions_job_id"), table_name="renditions")
    op.drop_table("renditions")
    op.drop_table("dictionary_versions")
    op.drop_table("served_shares")
    op.drop_index("ix_dictionaries_user_id_id", table_name="dictionaries")
    op.drop_table("dictionaries")
