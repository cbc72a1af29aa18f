"""Other servers that were met, and uploads that are not whole yet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "peers",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("met_at", sa.BigInteger(), nullable=False),
        sa.Column("heard_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("reached_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_peers")),
    )
    op.create_index("ix_peers_seen_at_host", "peers", ["seen_at", "host"])
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=False),
        sa.Column("work_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("touched_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["actors.id"], name=op.f("fk_uploads_actor_id_actors")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    for column in ("actor_id", "work_id", "touched_at"):
        op.create_index(op.f(f"ix_uploads_{column}"), "uploads", [column])
    # Whoever had people known here was met when the first of them came.
    op.execute(
        "INSERT INTO peers (host, met_at, heard_at, reached_at, seen_at) "
        "SELECT host, MIN(id) >> 16, 0, 0, MAX(fetched_at) FROM actors WHERE host <> '' GROUP BY host"
    )
