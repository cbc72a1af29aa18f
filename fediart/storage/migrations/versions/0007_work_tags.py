"""The hashtags of a work are found by the work: for each page of works, and where the policy judges what is stored."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_index("ix_work_tags_work_id_tag", "work_tags", ["work_id", "tag"])
