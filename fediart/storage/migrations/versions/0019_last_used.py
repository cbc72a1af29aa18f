"""The day on which an app last acted for an account."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.add_column("grants", sa.Column("used_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
