"""Who wants to come in: invites, applicants, one-time links; an account's e-mail, its room, and the policy it agreed to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("email", sa.Text(), server_default="", nullable=False))
    op.add_column("accounts", sa.Column("quota_mb", sa.Integer()))
    op.add_column("accounts", sa.Column("agreed_policy", sa.Integer()))
    has_email = sa.text("email <> ''")
    op.create_index("ix_accounts_email", "accounts", ["email"], unique=True, sqlite_where=has_email, postgresql_where=has_email)
    op.create_table(
        "invites",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("made_by", sa.BigInteger()),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("used", sa.Integer(), server_default="0", nullable=False),
        sa.Column("until", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invites")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invites_token_hash")),
    )
    op.create_table(
        "applicants",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("is_to_be_asked", sa.Boolean(), nullable=False),
        sa.Column("invite_id", sa.BigInteger()),
        sa.Column("agreed_policy", sa.Integer()),
        sa.Column("token_hash", sa.String(64)),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_applicants")),
        sa.UniqueConstraint("username", name=op.f("uq_applicants_username")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_applicants_token_hash")),
    )
    op.create_table(
        "one_time_links",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("email", sa.Text(), server_default="", nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_one_time_links_account_id_accounts")),
        sa.PrimaryKeyConstraint("account_id", "purpose", name=op.f("pk_one_time_links")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_one_time_links_token_hash")),
    )
