"""The AI-art policy, what artists reserve and declare, and what is reported, reviewed and decided."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.Column("verb", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_table(
        "cleared_files",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("cleared_at", sa.BigInteger(), nullable=False),
        sa.Column("cleared_by", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_cleared_files")),
    )
    op.create_table(
        "policies",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("adopted_at", sa.BigInteger(), nullable=False),
        sa.Column("adopted_by", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_policies")),
    )
    op.create_table(
        "reports",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reporter_id", sa.BigInteger(), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=False),
        sa.Column("category", sa.String(length=16), nullable=False),
        sa.Column("comment", sa.Text(), server_default="", nullable=False),
        sa.Column("uri", sa.Text(), nullable=True),
        sa.Column("forwarded", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("closed_by", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["actor_id"], ["actors.id"], name=op.f("fk_reports_actor_id_actors")),
        sa.ForeignKeyConstraint(["reporter_id"], ["actors.id"], name=op.f("fk_reports_reporter_id_actors")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
        sa.UniqueConstraint("uri", name=op.f("uq_reports_uri")),
    )
    op.create_index(op.f("ix_reports_actor_id"), "reports", ["actor_id"], unique=False)
    op.create_index("ix_reports_state_id", "reports", ["state", "id"], unique=False)
    op.create_table(
        "reviews",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=False),
        sa.Column("work_id", sa.BigInteger(), nullable=True),
        sa.Column("report_id", sa.BigInteger(), nullable=True),
        sa.Column("rule", sa.String(length=16), server_default="", nullable=False),
        sa.Column("evidence", sa.Text(), server_default="", nullable=False),
        sa.Column("words", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("decision", sa.String(length=16), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.BigInteger(), nullable=True),
        sa.Column("earlier_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["actor_id"], ["actors.id"], name=op.f("fk_reviews_actor_id_actors")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
    )
    op.create_index(op.f("ix_reviews_actor_id"), "reviews", ["actor_id"], unique=False)
    op.create_index("ix_reviews_state_id", "reviews", ["state", "id"], unique=False)
    op.create_index(op.f("ix_reviews_work_id"), "reviews", ["work_id"], unique=False)
    op.create_table(
        "report_works",
        sa.Column("report_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("work_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["report_id"], ["reports.id"], name=op.f("fk_report_works_report_id_reports"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("report_id", "work_id", name=op.f("pk_report_works")),
    )
    op.create_table(
        "review_files",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("review_id", sa.BigInteger(), nullable=False),
        sa.Column("vault_key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["review_id"], ["reviews.id"], name=op.f("fk_review_files_review_id_reviews"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_files")),
    )
    op.create_index(op.f("ix_review_files_review_id"), "review_files", ["review_id"], unique=False)
    op.add_column("accounts", sa.Column("reservation", sa.Text(), nullable=True))
    op.add_column("accounts", sa.Column("licence", sa.String(length=24), server_default="", nullable=False))
    op.add_column("accounts", sa.Column("licence_text", sa.Text(), server_default="", nullable=False))
    op.add_column("accounts", sa.Column("tell_cloaked", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.add_column("accounts", sa.Column("ai_view", sa.String(length=16), server_default="", nullable=False))
    op.add_column("images", sa.Column("origin", sa.Text(), nullable=True))
    op.add_column("images", sa.Column("reservation", sa.Text(), nullable=True))
    op.add_column("works", sa.Column("declaration", sa.String(length=16), server_default="", nullable=False))
    op.add_column("works", sa.Column("reservation", sa.Text(), nullable=True))
    op.add_column("works", sa.Column("licence", sa.String(length=24), server_default="", nullable=False))
    op.add_column("works", sa.Column("licence_text", sa.Text(), server_default="", nullable=False))
    op.add_column("works", sa.Column("self_label", sa.String(length=24), server_default="", nullable=False))
    op.add_column("works", sa.Column("verdict_action", sa.String(length=16), server_default="", nullable=False))
    op.add_column("works", sa.Column("verdict_rule", sa.String(length=16), server_default="", nullable=False))
    op.add_column("works", sa.Column("verdict_label", sa.Text(), server_default="", nullable=False))
    op.add_column("works", sa.Column("moderated", sa.String(length=16), nullable=True))
