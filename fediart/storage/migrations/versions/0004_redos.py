"""Cloaking old works again: retired file names, runs and their pictures, and by which method each picture was cloaked."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "retired_files",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=False),
        sa.Column("on_disk", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.PrimaryKeyConstraint("name", name="pk_retired_files"),
    )
    op.create_table(
        "redos",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("actor_id", sa.BigInteger()),
        sa.Column("every", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("pictures", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("redone", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("failed", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("lost", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("dropped", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["actor_id"], ["actors.id"], name="fk_redos_actor_id_actors"),
        sa.PrimaryKeyConstraint("id", name="pk_redos"),
    )
    op.create_table(
        "redo_turns",
        sa.Column("redo_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("image_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("work_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("result", sa.Text()),
        sa.Column("problem", sa.Text(), nullable=False, server_default=""),
        sa.ForeignKeyConstraint(["redo_id"], ["redos.id"], name="fk_redo_turns_redo_id_redos", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("redo_id", "image_id", name="pk_redo_turns"),
    )
    op.add_column("images", sa.Column("cloak_method", sa.Text()))
    _name_methods(op.get_bind())


def _name_methods(db: sa.Connection) -> None:
    """Pictures that are cloaked already: by the method that their report tells."""
    images = sa.table("images", sa.column("id"), sa.column("cloak_report"), sa.column("cloak_method"))
    reports = db.execute(sa.select(images.c.id, images.c.cloak_report).where(images.c.cloak_report.is_not(None))).all()
    for id_, text in reports:
        report = json.loads(text)
        method = f"{report['backend']} {report['version']} {report['strength']}"
        db.execute(sa.update(images).where(images.c.id == id_).values(cloak_method=method))
