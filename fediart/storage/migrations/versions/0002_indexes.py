"""Indexes for what is asked with every arrival and every claim: orphaned answers, lanes that wait for a retry."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ORPHANS = sa.text("in_reply_to_id IS NULL AND in_reply_to_uri IS NOT NULL")
_TRIED = sa.text("attempts > 0")


def upgrade() -> None:
    op.create_index("ix_works_orphans", "works", ["in_reply_to_uri"], sqlite_where=_ORPHANS, postgresql_where=_ORPHANS)
    for table in ("jobs", "deliveries"):
        op.create_index(f"ix_{table}_tried", table, ["run_at", "lane"], sqlite_where=_TRIED, postgresql_where=_TRIED)
