"""Questions about logins: accounts, their sessions and the grants of client programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from fediart.domain.actors import Account, Role
from fediart.storage import sign_ups
from fediart.storage.tables import accounts, actors, grants, one_time_links, sessions, uploads

SESSION_MS = 60 * 24 * 3600 * 1000
"""A session that was not used for so long has ended."""

SEEN_AGAIN_MS = 24 * 3600 * 1000
"""So rarely is it written down that a session or a grant is used: asking for something is otherwise a read."""

_COLUMNS = tuple(accounts.c[name] for name in Account.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a client program may do for an account. `used_at`: in ms, at most a day behind; 0: no use is written down."""

    account_id: int
    actor_id: int
    name: str
    scopes: tuple[str, ...]
    used_at: int


def _account(row: Row[Any] | None) -> Account | None:
    if row is None:
        return None
    values = {name: getattr(row, name) for name in Account.__dataclass_fields__}
    return Account(**{**values, "role": Role(row.role)})


def account_by_id(db: Connection, id_: int) -> Account | None:
    return _account(db.execute(select(*_COLUMNS).where(accounts.c.id == id_)).first())


def account_of_actor(db: Connection, actor_id: int) -> Account | None:
    return _account(db.execute(select(*_COLUMNS).where(accounts.c.actor_id == actor_id)).first())


def account_named(db: Connection, username: str) -> Account | None:
    joined = accounts.join(actors, accounts.c.actor_id == actors.c.id)
    wanted = (actors.c.username == username.lower(), actors.c.host == "")
    return _account(db.execute(select(*_COLUMNS).select_from(joined).where(*wanted)).first())


def any_account(db: Connection) -> bool:
    return db.execute(select(accounts.c.id).limit(1)).first() is not None


def account_names(db: Connection) -> list[tuple[str, str]]:
    """(username, role) of everyone here, oldest first."""
    joined = accounts.join(actors, accounts.c.actor_id == actors.c.id)
    return [
        (row[0], row[1])
        for row in db.execute(select(actors.c.username, accounts.c.role).select_from(joined).order_by(accounts.c.id))
    ]


def actor_ids(db: Connection) -> list[int]:
    """Every local artist's actor."""
    return list(db.execute(select(accounts.c.actor_id)).scalars())


def moderator_ids(db: Connection) -> set[int]:
    """The accounts that may moderate, and are not suspended themselves."""
    query = select(accounts.c.id, accounts.c.role).where(accounts.c.suspended_at.is_(None))
    return {row.id for row in db.execute(query) if Role(row.role).may_moderate}


def insert_account(db: Connection, account: Account) -> None:
    db.execute(insert(accounts).values(**{name: getattr(account, name) for name in Account.__dataclass_fields__}))


def put_role(db: Connection, account_id: int, role: Role) -> None:
    db.execute(update(accounts).where(accounts.c.id == account_id).values(role=role))


def count_owners(db: Connection) -> int:
    """Those who can sign in and act."""
    query = select(func.count()).where(accounts.c.role == Role.OWNER, accounts.c.suspended_at.is_(None))
    return db.execute(query).scalar_one()


def listed_accounts(db: Connection, *, after: int | None = None, limit: int = 50) -> list[tuple[Account, str]]:
    """(account, username), oldest first."""
    joined = accounts.join(actors, accounts.c.actor_id == actors.c.id)
    query = select(*_COLUMNS, actors.c.username).select_from(joined).order_by(accounts.c.id).limit(limit)
    if after is not None:
        query = query.where(accounts.c.id > after)
    found = []
    rows: list[Row[Any]] = list(db.execute(query))
    for row in rows:
        account = _account(row)
        if account is not None:
            found.append((account, row.username))
    return found


def put_suspension(db: Connection, account_id: int, at: int | None, reason: str) -> None:
    """`at` None: it is over. When it begins, every session, every grant and every invite of theirs ends."""
    db.execute(update(accounts).where(accounts.c.id == account_id).values(suspended_at=at, suspended_reason=reason))
    if at is not None:
        end_everything(db, account_id)
        sign_ups.drop_invites_of(db, account_id)


def drop_account(db: Connection, account_id: int) -> None:
    """Nobody can sign in with it any more, nor can any program act for it. Its actor stays."""
    end_everything(db, account_id)
    sign_ups.drop_invites_of(db, account_id)
    of_account = select(accounts.c.actor_id).where(accounts.c.id == account_id).scalar_subquery()
    db.execute(delete(uploads).where(uploads.c.actor_id == of_account))
    db.execute(delete(accounts).where(accounts.c.id == account_id))


def put_reply_policy(db: Connection, account_id: int, policy: str) -> None:
    db.execute(update(accounts).where(accounts.c.id == account_id).values(reply_policy=policy))


def put_quote_policy(db: Connection, account_id: int, policy: str) -> None:
    db.execute(update(accounts).where(accounts.c.id == account_id).values(quote_policy=policy))


def put_password(db: Connection, account_id: int, password_hash: str) -> None:
    """A new password ends every session, every grant and every one-time link."""
    db.execute(update(accounts).where(accounts.c.id == account_id).values(password_hash=password_hash))
    end_everything(db, account_id)


def end_everything(db: Connection, account_id: int) -> None:
    """Whoever is signed in, by whatever browser or program, is not any more."""
    for table in (sessions, grants, one_time_links):
        db.execute(delete(table).where(table.c.account_id == account_id))


def account_with_email(db: Connection, email: str) -> Account | None:
    """`email` in small letters."""
    return _account(db.execute(select(*_COLUMNS).where(accounts.c.email == email)).first()) if email else None


def put_email(db: Connection, account_id: int, email: str) -> None:
    db.execute(update(accounts).where(accounts.c.id == account_id).values(email=email))


def put_quota(db: Connection, account_id: int, quota_mb: int | None) -> None:
    db.execute(update(accounts).where(accounts.c.id == account_id).values(quota_mb=quota_mb))


def admin_ids(db: Connection) -> list[tuple[int, int]]:
    """(account, actor) of those who look after the server, and are not suspended."""
    query = select(accounts.c.id, accounts.c.actor_id, accounts.c.role).where(accounts.c.suspended_at.is_(None))
    return [(row.id, row.actor_id) for row in db.execute(query) if Role(row.role).may_administer]


def put_cloak_defaults(db: Connection, account_id: int, *, cloak: bool, strength: str, ask_if_weak: bool) -> None:
    """Of pictures that are added from now on."""
    values = {"cloak_default": cloak, "cloak_strength": strength, "ask_if_weak": ask_if_weak}
    db.execute(update(accounts).where(accounts.c.id == account_id).values(**values))


def put_ai_view(db: Connection, account_id: int, wish: str) -> None:
    """How AI-made works of others are shown to this person; '' as the policy says."""
    db.execute(update(accounts).where(accounts.c.id == account_id).values(ai_view=wish))


def put_policy_read(db: Connection, account_id: int, number: int, *, from_number: int = 0) -> None:
    """They know what the policy says up to this revision, if they knew it up to `from_number`. It never goes back."""
    behind = (accounts.c.id == account_id, accounts.c.policy_read < number, accounts.c.policy_read >= from_number)
    db.execute(update(accounts).where(*behind).values(policy_read=number))


def open_session(db: Connection, token_hash: str, account_id: int, now: int, user_agent: str) -> None:
    db.execute(delete(sessions).where(sessions.c.seen_at < now - SESSION_MS))
    db.execute(
        insert(sessions).values(
            token_hash=token_hash, account_id=account_id, created_at=now, seen_at=now, user_agent=user_agent[:300]
        )
    )


def end_session(db: Connection, token_hash: str) -> None:
    db.execute(delete(sessions).where(sessions.c.token_hash == token_hash))


def sessions_of(db: Connection, account_id: int, now: int) -> list[tuple[str, int, int, str]]:
    """(hash of its token, when it began, the day it was used last, what the browser says it is), the last used first."""
    columns = (sessions.c.token_hash, sessions.c.created_at, sessions.c.seen_at, sessions.c.user_agent)
    alive = (sessions.c.account_id == account_id, sessions.c.seen_at > now - SESSION_MS)
    rows = db.execute(select(*columns).where(*alive).order_by(sessions.c.seen_at.desc(), sessions.c.token_hash))
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def end_session_of(db: Connection, account_id: int, token_hash: str) -> None:
    """One of this account's; another's stays."""
    db.execute(delete(sessions).where(sessions.c.account_id == account_id, sessions.c.token_hash == token_hash))


def account_of_session(db: Connection, token_hash: str, now: int) -> tuple[Account, bool] | None:
    """(whose it is, whether it is time to `renew_session`) of a session that has not ended."""
    joined = sessions.join(accounts, sessions.c.account_id == accounts.c.id)
    alive = (sessions.c.token_hash == token_hash, sessions.c.seen_at > now - SESSION_MS)
    columns = (*_COLUMNS, sessions.c.seen_at)
    row = db.execute(select(*columns).select_from(joined).where(*alive)).first()
    account = _account(row)
    return (account, row.seen_at <= now - SEEN_AGAIN_MS) if row is not None and account is not None else None


def renew_session(db: Connection, token_hash: str, now: int) -> None:
    """It is in use: its time runs anew."""
    db.execute(update(sessions).where(sessions.c.token_hash == token_hash).values(seen_at=now))


def insert_grant(db: Connection, token_hash: str, account_id: int, name: str, scopes: str, now: int) -> None:
    db.execute(insert(grants).values(token_hash=token_hash, account_id=account_id, name=name, scopes=scopes, created_at=now))


def grant_of(db: Connection, token_hash: str) -> Grant | None:
    joined = grants.join(accounts, grants.c.account_id == accounts.c.id)
    row = db.execute(
        select(grants.c.account_id, accounts.c.actor_id, grants.c.name, grants.c.scopes, grants.c.used_at)
        .select_from(joined)
        .where(grants.c.token_hash == token_hash)
    ).first()
    return Grant(row.account_id, row.actor_id, row.name, tuple(row.scopes.split()), row.used_at) if row else None


def use_grant(db: Connection, token_hash: str, now: int) -> None:
    """It is in use. Of many requests at the same time only the first of the day changes the row."""
    is_due = (grants.c.token_hash == token_hash, grants.c.used_at <= now - SEEN_AGAIN_MS)
    db.execute(update(grants).where(*is_due).values(used_at=now))


@dataclass(frozen=True, slots=True)
class HeldGrant:
    """A grant as its owner sees it. `token_hash`: of its token. Times in ms; `used_at` 0: no use is written down."""

    token_hash: str
    name: str
    scopes: str
    created_at: int
    used_at: int


def grants_of(db: Connection, account_id: int) -> list[HeldGrant]:
    """Newest first."""
    columns = (grants.c[name] for name in HeldGrant.__dataclass_fields__)
    rows = db.execute(select(*columns).where(grants.c.account_id == account_id).order_by(grants.c.created_at.desc()))
    return [HeldGrant(*row) for row in rows]


def end_grant_of(db: Connection, account_id: int, token_hash: str) -> None:
    db.execute(delete(grants).where(grants.c.account_id == account_id, grants.c.token_hash == token_hash))
