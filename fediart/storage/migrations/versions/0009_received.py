"""What others say of themselves and of works: where they moved, what they pin, with which face they like."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "pins",
        sa.Column("actor_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("work_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pinned_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["actors.id"], name=op.f("fk_pins_actor_id_actors")),
        sa.ForeignKeyConstraint(["work_id"], ["works.id"], name=op.f("fk_pins_work_id_works"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("actor_id", "work_id", name=op.f("pk_pins")),
    )
    op.create_index(op.f("ix_pins_work_id"), "pins", ["work_id"], unique=False)
    op.add_column("actors", sa.Column("moved_to", sa.Text(), nullable=True))
    op.add_column("actors", sa.Column("moved_at", sa.BigInteger(), nullable=True))
    op.add_column("likes", sa.Column("face", sa.Text(), server_default="", nullable=False))
