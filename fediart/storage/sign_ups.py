"""Who may make an account: questions about invites, applicants and one-time links, and the changes of their rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from fediart.domain.sign_ups import CONFIRM_MS, Applicant, ApplicantState, Invite, LinkPurpose, SignUps
from fediart.storage import settings
from fediart.storage.tables import accounts, actors, applicants, invites, one_time_links

_KEY = "sign_ups"


def chosen_sign_ups(db: Connection, usual: str) -> SignUps:
    """`usual`: as the settings file says, which holds until an admin chooses."""
    return SignUps(settings.setting(db, _KEY) or usual)


def put_sign_ups(db: Connection, mode: SignUps) -> None:
    settings.put_setting(db, _KEY, mode)


# ------------------------------------------------------------------------------------------------------- invites

_MADE = invites.outerjoin(accounts, accounts.c.id == invites.c.made_by).outerjoin(actors, actors.c.id == accounts.c.actor_id)
_INVITE = (invites.c.id, invites.c.note, invites.c.uses, invites.c.used, invites.c.until, func.coalesce(actors.c.username, ""))


def insert_invite(
    db: Connection, *, id_: int, token_hash: str, made_by: int | None, note: str, uses: int, until: int | None
) -> None:
    db.execute(insert(invites).values(id=id_, token_hash=token_hash, made_by=made_by, note=note, uses=uses, until=until))


def all_invites(db: Connection, *, limit: int = 200) -> list[Invite]:
    """Newest first, also those that are used up."""
    return [Invite(*row) for row in db.execute(select(*_INVITE).select_from(_MADE).order_by(invites.c.id.desc()).limit(limit))]


def invite_with(db: Connection, token_hash: str) -> Invite | None:
    row = db.execute(select(*_INVITE).select_from(_MADE).where(invites.c.token_hash == token_hash)).first()
    return Invite(*row) if row is not None else None


def use_invite(db: Connection, invite_id: int, now: int) -> bool:
    """True when there was a use left: of two who come at once for the last one, one gets it."""
    is_open = (invites.c.id == invite_id, invites.c.used < invites.c.uses, or_(invites.c.until.is_(None), invites.c.until > now))
    return db.execute(update(invites).where(*is_open).values(used=invites.c.used + 1)).rowcount == 1


def _give_back(db: Connection, invite_id: int | None) -> None:
    if invite_id is not None:
        db.execute(update(invites).where(invites.c.id == invite_id, invites.c.used > 0).values(used=invites.c.used - 1))


def drop_invite(db: Connection, invite_id: int) -> bool:
    return db.execute(delete(invites).where(invites.c.id == invite_id)).rowcount == 1


def drop_invites_of(db: Connection, account_id: int) -> None:
    """Nobody comes in by the word of somebody who left, or was made to."""
    db.execute(delete(invites).where(invites.c.made_by == account_id))


# ---------------------------------------------------------------------------------------------------- applicants

_APPLICANT = tuple(applicants.c[name] for name in Applicant.__dataclass_fields__)


def _applicant(row: Row[Any] | None) -> Applicant | None:
    if row is None:
        return None
    values = {name: getattr(row, name) for name in Applicant.__dataclass_fields__}
    return Applicant(**{**values, "state": ApplicantState(row.state)})


def insert_applicant(db: Connection, applicant: Applicant) -> None:
    db.execute(insert(applicants).values(**{name: getattr(applicant, name) for name in Applicant.__dataclass_fields__}))


def applicant_by_id(db: Connection, id_: int) -> Applicant | None:
    return _applicant(db.execute(select(*_APPLICANT).where(applicants.c.id == id_)).first())


def applicant_with(db: Connection, token_hash: str, now: int) -> Applicant | None:
    """Whose address this link confirms, while it holds."""
    alive = (applicants.c.token_hash == token_hash, applicants.c.at > now - CONFIRM_MS)
    return _applicant(db.execute(select(*_APPLICANT).where(*alive)).first())


def is_applied_for(db: Connection, username: str) -> bool:
    return db.execute(select(applicants.c.id).where(applicants.c.username == username)).first() is not None


def waiting_applicants(db: Connection, *, limit: int = 100) -> list[Applicant]:
    """For an admin, oldest first."""
    query = select(*_APPLICANT).where(applicants.c.state == ApplicantState.WAITING).order_by(applicants.c.id).limit(limit)
    rows: list[Row[Any]] = list(db.execute(query))
    return [found for row in rows if (found := _applicant(row)) is not None]


def count_applicants(db: Connection, state: ApplicantState | None = None) -> int:
    query = select(func.count()).select_from(applicants)
    return db.execute(query if state is None else query.where(applicants.c.state == state)).scalar_one()


def put_applicant_token(db: Connection, id_: int, token_hash: str) -> None:
    db.execute(update(applicants).where(applicants.c.id == id_).values(token_hash=token_hash))


def put_applicant_state(db: Connection, id_: int, state: ApplicantState) -> None:
    """The link that confirmed the address is used up with it."""
    db.execute(update(applicants).where(applicants.c.id == id_).values(state=state, token_hash=None))


def drop_applicant(db: Connection, id_: int) -> bool:
    return db.execute(delete(applicants).where(applicants.c.id == id_)).rowcount == 1


def forget_applicants(db: Connection, now: int) -> None:
    """Who never confirmed an address. An invite that they held can be used again."""
    over = (applicants.c.state == ApplicantState.UNCONFIRMED, applicants.c.at <= now - CONFIRM_MS)
    for row in db.execute(select(applicants.c.id, applicants.c.invite_id).where(*over)).all():
        _give_back(db, row.invite_id)
        drop_applicant(db, row.id)


# ------------------------------------------------------------------------------------------------ one-time links


def put_link(db: Connection, account_id: int, purpose: LinkPurpose, token_hash: str, until: int, email: str = "") -> None:
    """An earlier link of this account for this purpose ends."""
    drop_link(db, account_id, purpose)
    values = {"account_id": account_id, "purpose": purpose, "token_hash": token_hash, "until": until, "email": email}
    db.execute(insert(one_time_links).values(**values))


def link_with(db: Connection, purpose: LinkPurpose, token_hash: str, now: int) -> tuple[int, str] | None:
    """(account, e-mail address) of a link that holds."""
    links = one_time_links.c
    alive = (links.token_hash == token_hash, links.purpose == purpose, links.until > now)
    row = db.execute(select(links.account_id, links.email).where(*alive)).first()
    return (row[0], row[1]) if row is not None else None


def use_link(db: Connection, purpose: LinkPurpose, token_hash: str, now: int) -> tuple[int, str] | None:
    """The same, once: of two who come with it, one gets it."""
    found = link_with(db, purpose, token_hash, now)
    links = one_time_links.c
    gone = db.execute(delete(one_time_links).where(links.purpose == purpose, links.token_hash == token_hash)).rowcount
    return found if gone == 1 else None


def drop_link(db: Connection, account_id: int, purpose: LinkPurpose) -> None:
    db.execute(delete(one_time_links).where(one_time_links.c.account_id == account_id, one_time_links.c.purpose == purpose))


def forget_links(db: Connection, now: int) -> None:
    db.execute(delete(one_time_links).where(one_time_links.c.until <= now))
