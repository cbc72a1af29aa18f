"""Which other addresses an artist has, and the emoji of other servers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("actors", sa.Column("also_known_as", sa.Text(), server_default="[]", nullable=False))
    op.create_table(
        "emojis",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("image_id", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_emojis_image_id_images")),
        sa.PrimaryKeyConstraint("host", "name", name=op.f("pk_emojis")),
    )
    op.create_index(op.f("ix_emojis_image_id"), "emojis", ["image_id"])
