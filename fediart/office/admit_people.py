"""Who may come in: the admin chooses how sign-ups go, makes and takes back invites, and decides on those who ask."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.notifications import NotificationKind
from fediart.domain.sign_ups import HOUR_MS, MAX_DAYS, MAX_NOTE, MAX_REASON, MAX_USES, Applicant, ApplicantState, SignUps
from fediart.errors import BadInput, NotFound
from fediart.ids import new_id
from fediart.instance import Instance, token_hash
from fediart.outbox.send_letter import LETTER, Letter, add_letter
from fediart.storage import accounts, audit, jobs, notifications, sign_ups

ADMIT = "admit"
"""The job that makes the account of somebody who was let in."""

DAY_MS = 24 * HOUR_MS


async def choose_sign_ups(instance: Instance, mode: SignUps, *, by: Account | None) -> None:
    """`by` None: from the shell."""

    def act(db: Connection, now: int) -> None:
        before = sign_ups.chosen_sign_ups(db, instance.config.accounts.sign_ups)
        sign_ups.put_sign_ups(db, mode)
        if before != mode:
            audit.write_down(db, by.id if by is not None else None, "sign-ups", mode, f"{before} → {mode}", now)

    await instance.storage.write(act, instance.clock())


async def make_invite(instance: Instance, *, uses: int, days: int | None, note: str = "", by: Account | None) -> str:
    """The address to hand on; it is shown once and kept as a hash. `days` None: without end. Raises BadInput."""
    if not 1 <= uses <= MAX_USES:
        raise BadInput(f"An invite is for 1 to {MAX_USES} people.")
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise BadInput(f"An invite holds for 1 to {MAX_DAYS} days.")
    token, now = secrets.token_urlsafe(18), instance.clock()
    id_, until = new_id(now), None if days is None else now + days * DAY_MS
    made_by = by.id if by is not None else None
    note = note.strip()[:MAX_NOTE]

    def act(db: Connection) -> None:
        sign_ups.insert_invite(db, id_=id_, token_hash=token_hash(token), made_by=made_by, note=note, uses=uses, until=until)
        audit.write_down(db, made_by, "invite", f"invite {id_}", f"for {uses}{': ' + note if note else ''}", now)

    await instance.storage.write(act)
    return f"{instance.identifiers.base_url}/sign-up?invite={token}"


async def revoke_invite(instance: Instance, invite_id: int, *, by: Account | None) -> None:
    """Who came in by it stays. Raises NotFound."""

    def act(db: Connection, now: int) -> None:
        if not sign_ups.drop_invite(db, invite_id):
            raise NotFound("This invite is not there (any more).")
        audit.write_down(db, by.id if by is not None else None, "revoke invite", f"invite {invite_id}", "", now)

    await instance.storage.write(act, instance.clock())


async def admit(instance: Instance, applicant_id: int, *, by: Account) -> None:
    """The account is made by a job. Raises NotFound when somebody decided before."""

    def act(db: Connection, now: int) -> None:
        applicant = _waiting(db, applicant_id)
        sign_ups.put_applicant_state(db, applicant.id, ApplicantState.ADMITTED)
        jobs.add_job(db, ADMIT, {"applicant_id": applicant.id}, now=now)
        audit.write_down(db, by.id, "admit", f"@{applicant.username}", "", now)
        _end_news(db, instance)

    await instance.storage.write(act, instance.clock())
    instance.wake(ADMIT)


async def turn_away(instance: Instance, applicant_id: int, reason: str, *, by: Account) -> None:
    """All that they wrote is deleted. `reason` goes to their address, if there is one. Raises NotFound."""
    reason = reason.strip()[:MAX_REASON]

    def act(db: Connection, now: int) -> None:
        applicant = _waiting(db, applicant_id)
        sign_ups.drop_applicant(db, applicant.id)
        if applicant.email:
            about = {"to": applicant.email, "username": applicant.username, "reason": reason}
            add_letter(db, instance, Letter.TURNED_AWAY, now, **about)
        audit.write_down(db, by.id, "turn away", f"@{applicant.username}", reason, now)
        _end_news(db, instance)

    await instance.storage.write(act, instance.clock())
    instance.wake(LETTER)


def _waiting(db: Connection, applicant_id: int) -> Applicant:
    found = sign_ups.applicant_by_id(db, applicant_id)
    if found is None or found.state != ApplicantState.WAITING:
        raise NotFound("Somebody has decided on this already.")
    return found


def _end_news(db: Connection, instance: Instance) -> None:
    """Nobody is told any more that somebody waits when nobody does."""
    if sign_ups.count_applicants(db, ApplicantState.WAITING) == 0:
        for _, actor_id in accounts.admin_ids(db):
            notifications.drop_notification(db, actor_id, NotificationKind.APPLICANT, instance.instance_actor.id)
