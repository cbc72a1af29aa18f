"""Who has read which change of the AI-art policy, the news that it changed, and what was reported beyond the bounds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("policy_read", sa.Integer(), server_default="0", nullable=False))
    # Who is here knows the policy that holds; what comes after is announced.
    op.execute("UPDATE accounts SET policy_read = COALESCE((SELECT MAX(number) FROM policies), 0)")
    op.add_column("notifications", sa.Column("revision", sa.Integer(), nullable=True))
    op.create_table(
        "report_overflows",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_report_overflows")),
    )
