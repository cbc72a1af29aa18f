"""How hosts fare, how each delivery ended, and when something of another server was last looked into."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("hosts", sa.Column("failing_days", sa.Integer(), server_default="0", nullable=False))
    op.add_column("hosts", sa.Column("failed_at", sa.BigInteger(), nullable=True))
    op.add_column("hosts", sa.Column("problem", sa.Text(), server_default="", nullable=False))
    op.add_column("hosts", sa.Column("signature", sa.String(length=16), server_default="", nullable=False))
    op.create_table(
        "delivery_ends",
        sa.Column("activity_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("delivered", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("activity_id", "host", name=op.f("pk_delivery_ends")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "looks",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("looked_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject_id", name=op.f("pk_looks")),
        sqlite_with_rowid=False,
    )
