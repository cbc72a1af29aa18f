"""How strong each picture's cloak is to be, what its artist said to a weak one, and turns for those who wait."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for table, switch, standard in (("accounts", "ask_if_weak", "true"), ("images", "weak_accepted", "false")):
        op.add_column(table, sa.Column("cloak_strength", sa.String(length=16), server_default="", nullable=False))
        op.add_column(table, sa.Column(switch, sa.Boolean(), server_default=sa.text(standard), nullable=False))
    for column in ("owner", "turn"):
        op.add_column("jobs", sa.Column(column, sa.BigInteger(), server_default="0", nullable=False))
