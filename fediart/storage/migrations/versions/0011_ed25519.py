"""Ed25519 keys of actors, for integrity proofs. Those of actors that are here already are made at the next start."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("actors", sa.Column("multikeys", sa.Text(), server_default="[]", nullable=False))
    op.add_column("actors", sa.Column("ed25519_pem", sa.Text(), nullable=True))
