"""Blocks, mutes, filters, rules for hosts, who may answer, and what moderators let an actor be."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def _actor(name: str, table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([name], ["actors.id"], name=op.f(f"fk_{table}_{name}_actors"))


def upgrade() -> None:
    op.create_table(
        "blocks",
        sa.Column("actor_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("target_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        _actor("actor_id", "blocks"),
        _actor("target_id", "blocks"),
        sa.PrimaryKeyConstraint("actor_id", "target_id", name=op.f("pk_blocks")),
    )
    op.create_index("ix_blocks_target_id", "blocks", ["target_id"], unique=False)
    op.create_index("ix_blocks_uri", "blocks", ["uri"], unique=False)
    op.create_table(
        "mutes",
        sa.Column("actor_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("target_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("notifications", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        _actor("actor_id", "mutes"),
        _actor("target_id", "mutes"),
        sa.PrimaryKeyConstraint("actor_id", "target_id", name=op.f("pk_mutes")),
    )
    op.create_index(op.f("ix_mutes_until"), "mutes", ["until"], unique=False)
    op.create_table(
        "host_mutes",
        sa.Column("actor_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        _actor("actor_id", "host_mutes"),
        sa.PrimaryKeyConstraint("actor_id", "host", name=op.f("pk_host_mutes")),
    )
    op.create_table(
        "host_rules",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("private_note", sa.Text(), server_default="", nullable=False),
        sa.Column("is_public", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_host_rules")),
    )
    op.create_table(
        "filters",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("places", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        _actor("actor_id", "filters"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_filters")),
    )
    op.create_index(op.f("ix_filters_actor_id"), "filters", ["actor_id"], unique=False)
    op.create_index(op.f("ix_filters_until"), "filters", ["until"], unique=False)
    op.create_table(
        "filter_words",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("filter_id", sa.BigInteger(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("whole", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.ForeignKeyConstraint(
            ["filter_id"], ["filters.id"], name=op.f("fk_filter_words_filter_id_filters"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_filter_words")),
    )
    op.create_index(op.f("ix_filter_words_filter_id"), "filter_words", ["filter_id"], unique=False)
    op.add_column("actors", sa.Column("standing", sa.String(length=16), server_default="", nullable=False))
    op.add_column("actors", sa.Column("own_standing", sa.String(length=16), server_default="", nullable=False))
    op.create_index(
        "ix_actors_standing",
        "actors",
        ["standing", "id"],
        unique=False,
        sqlite_where=sa.text("standing <> ''"),
        postgresql_where=sa.text("standing <> ''"),
    )
    op.add_column("accounts", sa.Column("reply_policy", sa.String(length=16), server_default="", nullable=False))
    op.add_column("accounts", sa.Column("suspended_at", sa.BigInteger(), nullable=True))
    op.add_column("accounts", sa.Column("suspended_reason", sa.Text(), server_default="", nullable=False))
    op.add_column("works", sa.Column("reply_policy", sa.String(length=16), server_default="", nullable=False))
