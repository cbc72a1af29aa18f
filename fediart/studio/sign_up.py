"""Somebody wants an account: at once, once an address is confirmed, or once an admin has let them in, as the admin chose.

What an address has to do with an account here is told to that address alone: whoever types one learns nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import structlog
from sqlalchemy import Connection

from fediart.domain.actors import password_problem, username_problem
from fediart.domain.notifications import NotificationKind
from fediart.domain.sign_ups import (
    MAX_APPLICANTS,
    MAX_REASON,
    Applicant,
    ApplicantState,
    SignUps,
    email_problem,
    to_agree_to,
)
from fediart.errors import BadInput, Conflict, NotAllowed, NotFound, TooMany
from fediart.ids import new_id
from fediart.instance import Instance, token_hash
from fediart.outbox.send_letter import LETTER, Letter, add_letter
from fediart.storage import accounts, notifications, sign_ups
from fediart.studio.open_account import make_account, name_is_free
from fediart.studio.passwords import hash_password

log = structlog.get_logger("fediart.studio")

CLOSED = "This server takes no new accounts at the moment."
BY_INVITE = "An account here needs an invite. Ask somebody who looks after this server."
NO_INVITE = "This invite is used up, has ended, or was taken back. Ask whoever gave it to you for another one."
NO_LINK = "This link is not valid (any more). It holds for two days and works once; sign up again to get another one."


@dataclass(frozen=True, slots=True)
class Wish:
    """As it was typed. `invite`: the token of an invite's link, or ''. `agrees`: to what the policy asks."""

    username: str
    password: str
    email: str = ""
    reason: str = ""
    invite: str = ""
    agrees: bool = False


class Outcome(StrEnum):
    """OPENED: the account is there. CONFIRM: a letter with a link was sent. WAITING: an admin decides."""

    OPENED = "opened"
    CONFIRM = "confirm"
    WAITING = "waiting"


async def sign_ups_of(instance: Instance) -> SignUps:
    """Who may make an account here now."""
    return await instance.storage.read(sign_ups.chosen_sign_ups, instance.config.accounts.sign_ups)


def hindrance(db: Connection, instance: Instance, invite: str, now: int) -> str | None:
    """Why nobody with this invite ('' for none) can sign up now, in words for them, or None."""
    mode = sign_ups.chosen_sign_ups(db, instance.config.accounts.sign_ups)
    if mode == SignUps.CLOSED:
        return CLOSED
    if invite:
        found = sign_ups.invite_with(db, token_hash(invite))
        return None if found is not None and found.is_open(now) else NO_INVITE
    return BY_INVITE if mode == SignUps.INVITE else None


async def sign_up(instance: Instance, wish: Wish) -> Outcome:
    """Raises NotAllowed, BadInput, Conflict or TooMany in words for whoever typed it."""
    now, mail = instance.clock(), instance.config.mail.is_on
    if problem := await instance.storage.read(hindrance, instance, wish.invite, now):
        raise NotAllowed(problem)
    is_to_be_asked = not wish.invite and await sign_ups_of(instance) == SignUps.APPROVAL
    username, email, reason = wish.username.strip().lower(), wish.email.strip().lower(), wish.reason.strip()
    for problem in (
        username_problem(username),
        password_problem(wish.password),
        email_problem(email) if mail else None,
        _reason_problem(reason) if is_to_be_asked else None,
        "Please say that you keep to the policy of this server." if to_agree_to(instance.policy) and not wish.agrees else None,
    ):
        if problem:
            raise BadInput(problem)
    agreed = instance.policy.number if to_agree_to(instance.policy) else None
    hashed = await hash_password(instance, wish.password)
    if not mail and not is_to_be_asked:

        def come_in(db: Connection) -> None:
            _come_in(db, instance, wish.invite, now)

        await make_account(instance, username, hashed, agreed_policy=agreed, first=come_in)
        return Outcome.OPENED
    applicant = Applicant(
        new_id(now),
        username,
        hashed,
        email if mail else "",
        reason if is_to_be_asked else "",
        ApplicantState.UNCONFIRMED if mail else ApplicantState.WAITING,
        is_to_be_asked,
        None,
        agreed,
        now,
    )
    await instance.storage.write(_apply, instance, applicant, wish.invite, now)
    instance.wake(LETTER)
    return Outcome.CONFIRM if mail else Outcome.WAITING


def _reason_problem(reason: str) -> str | None:
    if not reason:
        return "Please write a sentence about yourself: an admin reads it before they let you in."
    if len(reason) > MAX_REASON:
        return f"Please say it in {MAX_REASON} characters."
    return None


def _come_in(db: Connection, instance: Instance, invite: str, now: int) -> int | None:
    """Asked once more where it counts. Returns the invite that was used."""
    if problem := hindrance(db, instance, invite, now):
        raise NotAllowed(problem)
    found = sign_ups.invite_with(db, token_hash(invite)) if invite else None
    if found is None:
        return None
    if not sign_ups.use_invite(db, found.id, now):
        raise NotAllowed(NO_INVITE)
    return found.id


def _apply(db: Connection, instance: Instance, applicant: Applicant, invite: str, now: int) -> None:
    invite_id = _come_in(db, instance, invite, now)
    if not name_is_free(db, applicant.username):
        raise Conflict(f"The username {applicant.username} is taken.")
    if sign_ups.count_applicants(db) >= MAX_APPLICANTS:
        raise TooMany("Too many people are asking for an account here right now. Please come back tomorrow.", retry_after=86_400)
    values = {name: getattr(applicant, name) for name in Applicant.__dataclass_fields__}
    sign_ups.insert_applicant(db, Applicant(**{**values, "invite_id": invite_id}))
    if applicant.state == ApplicantState.UNCONFIRMED:
        add_letter(db, instance, Letter.CONFIRM, now, applicant_id=applicant.id)
    else:
        _tell_admins(db, instance, now)


def _tell_admins(db: Connection, instance: Instance, now: int) -> None:
    """In their news each time, by letter only when nobody waited before."""
    is_first = sign_ups.count_applicants(db, ApplicantState.WAITING) == 1
    sender = instance.instance_actor.id
    for account_id, actor_id in accounts.admin_ids(db):
        notifications.drop_notification(db, actor_id, NotificationKind.APPLICANT, sender)
        notifications.notify(
            db, id_=new_id(now), actor_id=actor_id, kind=NotificationKind.APPLICANT, from_actor_id=sender, work_id=None
        )
        if is_first:
            add_letter(db, instance, Letter.WAITS, now, account_id=account_id)


async def applicant_of(instance: Instance, token: str) -> Applicant | None:
    """Whose address this link confirms, while it holds."""
    return await instance.storage.read(sign_ups.applicant_with, token_hash(token), instance.clock())


async def confirm_address(instance: Instance, token: str) -> Outcome:
    """The link of the letter. Raises NotFound, Conflict."""
    applicant = await applicant_of(instance, token)
    if applicant is None:
        raise NotFound(NO_LINK)
    if applicant.is_to_be_asked:
        await instance.storage.write(_wait, instance, token, instance.clock())
        instance.wake(LETTER)
        return Outcome.WAITING
    await _open(instance, applicant)
    return Outcome.OPENED


def _wait(db: Connection, instance: Instance, token: str, now: int) -> None:
    applicant = sign_ups.applicant_with(db, token_hash(token), now)
    if applicant is None:
        raise NotFound(NO_LINK)
    sign_ups.put_applicant_state(db, applicant.id, ApplicantState.WAITING)
    _tell_admins(db, instance, now)


async def _open(instance: Instance, applicant: Applicant) -> None:
    def take(db: Connection) -> None:
        if not sign_ups.drop_applicant(db, applicant.id):
            raise NotFound(NO_LINK)
        if applicant.is_to_be_asked and applicant.email:
            add_letter(db, instance, Letter.ADMITTED, instance.clock(), to=applicant.email, username=applicant.username)

    await make_account(
        instance,
        applicant.username,
        applicant.password_hash,
        email=applicant.email,
        agreed_policy=applicant.agreed_policy,
        first=take,
    )
    instance.wake(LETTER)


async def open_admitted(instance: Instance, applicant_id: int) -> None:
    """The job of an applicant whom an admin let in."""
    applicant = await instance.storage.read(sign_ups.applicant_by_id, applicant_id)
    if applicant is None or applicant.state != ApplicantState.ADMITTED:
        return
    try:
        await _open(instance, applicant)
    except Conflict as problem:
        # Their address became another account's meanwhile, by a sign-up of their own.
        log.warning("sign_up.not_opened", username=applicant.username, reason=problem.message)
        await instance.storage.write(sign_ups.drop_applicant, applicant.id)
