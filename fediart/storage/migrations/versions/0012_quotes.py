"""Who may quote a work, and who does; what another server says of who may like and boost; deliveries that tell of followers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    for table, name in (
        ("accounts", "quote_policy"),
        ("works", "quote_policy"),
        ("works", "like_policy"),
        ("works", "boost_policy"),
    ):
        op.add_column(table, sa.Column(name, sa.String(length=16), server_default="", nullable=False))
    op.add_column("activities", sa.Column("for_followers", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_table(
        "quotes",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("work_id", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["actor_id"], ["actors.id"], name=op.f("fk_quotes_actor_id_actors")),
        sa.ForeignKeyConstraint(["work_id"], ["works.id"], name=op.f("fk_quotes_work_id_works"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quotes")),
        sa.UniqueConstraint("work_id", "uri", name=op.f("uq_quotes_work_id")),
    )
    op.create_index(op.f("ix_quotes_actor_id"), "quotes", ["actor_id"], unique=False)
    op.create_index(op.f("ix_quotes_uri"), "quotes", ["uri"], unique=False)
