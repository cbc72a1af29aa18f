"""E-mail, where a mail server is set: durable jobs, committed with the change that they tell of.

A job says whom to write to and of what. The one-time link in a letter is made when the letter is sent, so that no link that
works stands in the database; each try makes a new one, which ends the one before. Without a mail server nothing is written.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.sign_ups import CONFIRM_MS, HOUR_MS, RESET_MS, LinkPurpose, email_problem
from fediart.errors import RefusedByRemote
from fediart.instance import Instance, token_hash
from fediart.remote.mail import send_mail
from fediart.storage import accounts, actors, jobs, sign_ups
from fediart.text import letters
from fediart.text.letters import Mail, Sender

log = structlog.get_logger("fediart.outbox")

LETTER = "letter"
"""Name of the kind of job."""


class Letter(StrEnum):
    """What a letter is about, and what its job must say."""

    CONFIRM = "confirm"
    """applicant_id"""
    WAITS = "waits"
    """account_id, of an admin"""
    ADMITTED = "admitted"
    """to, username"""
    TURNED_AWAY = "turned away"
    """to, username, reason"""
    RESET = "reset"
    """asked: a username or an address, as it was typed; at"""
    PASSWORD = "password"  # noqa: S105 - what the letter is about
    """account_id"""
    ADDRESS = "address"
    """account_id, to"""
    ADDRESS_CHANGED = "address changed"
    """to, username"""


def add_letter(db: Connection, instance: Instance, letter: Letter, now: int, **about: object) -> None:
    """Does nothing where this server sends no mail."""
    if instance.config.mail.is_on:
        jobs.add_job(db, LETTER, {"letter": letter, "at": now, **about}, now=now)


async def send_letter(instance: Instance, payload: dict[str, Any]) -> None:
    """The job. Raises Unreachable or RefusedByRemote when it is worth trying again."""
    if not instance.config.mail.is_on:
        return
    mail = await _WRITE[Letter(payload["letter"])](instance, payload)
    if mail is None:
        return
    try:
        await send_mail(instance.config.mail, sender_of(instance), mail, instance.clock())
    except RefusedByRemote as problem:
        if problem.remote_status < 500:
            raise
        log.warning("letter.refused", letter=payload["letter"], status=problem.remote_status, detail=problem.detail)


def sender_of(instance: Instance) -> Sender:
    return Sender(instance.config.instance.name, instance.identifiers.account_domain, instance.identifiers.base_url)


async def _confirm(instance: Instance, payload: dict[str, Any]) -> Mail | None:
    token = secrets.token_urlsafe(32)

    def act(db: Connection) -> Mail | None:
        applicant = sign_ups.applicant_by_id(db, payload["applicant_id"])
        if applicant is None:
            return None
        holder = accounts.account_with_email(db, applicant.email)
        if holder is not None:
            return letters.has_account(sender_of(instance), applicant.email, _name_of(db, holder))
        sign_ups.put_applicant_token(db, applicant.id, token_hash(token))
        return letters.to_confirm(sender_of(instance), applicant.email, applicant.username, token)

    return await instance.storage.write(act)


async def _reset(instance: Instance, payload: dict[str, Any]) -> Mail | None:
    now, token = instance.clock(), secrets.token_urlsafe(32)
    if now - payload["at"] > HOUR_MS:
        return None  # whoever asked does not wait for it any more

    def act(db: Connection) -> Mail | None:
        account = account_meant(db, payload["asked"])
        if account is None or email_problem(account.email):
            return None
        sign_ups.put_link(db, account.id, LinkPurpose.RESET, token_hash(token), now + RESET_MS)
        return letters.to_reset(sender_of(instance), account.email, _name_of(db, account), token)

    return await instance.storage.write(act)


def account_meant(db: Connection, asked: str) -> Account | None:
    """By what somebody types who forgot a password: an e-mail address, a username, or a handle of here."""
    asked = asked.strip().lower()
    return accounts.account_with_email(db, asked) or accounts.account_named(db, asked.removeprefix("@").split("@")[0])


async def _address(instance: Instance, payload: dict[str, Any]) -> Mail | None:
    now, token = instance.clock(), secrets.token_urlsafe(32)
    to: str = payload["to"]

    def act(db: Connection) -> Mail | None:
        account = accounts.account_by_id(db, payload["account_id"])
        if account is None:
            return None
        holder = accounts.account_with_email(db, to)
        if holder is not None:
            return letters.has_account(sender_of(instance), to, _name_of(db, holder))
        sign_ups.put_link(db, account.id, LinkPurpose.EMAIL, token_hash(token), now + CONFIRM_MS, to)
        return letters.to_take_address(sender_of(instance), to, _name_of(db, account), token)

    return await instance.storage.write(act)


def _to_account(write: Callable[[Sender, str, str], Mail]) -> Callable[[Instance, dict[str, Any]], Awaitable[Mail | None]]:
    async def written(instance: Instance, payload: dict[str, Any]) -> Mail | None:
        def ask(db: Connection) -> tuple[str, str] | None:
            account = accounts.account_by_id(db, payload["account_id"])
            return (account.email, _name_of(db, account)) if account is not None and account.email else None

        found = await instance.storage.read(ask)
        return write(sender_of(instance), *found) if found is not None else None

    return written


async def _admitted(instance: Instance, payload: dict[str, Any]) -> Mail:
    return letters.admitted(sender_of(instance), payload["to"], payload["username"])


async def _turned_away(instance: Instance, payload: dict[str, Any]) -> Mail:
    return letters.turned_away(sender_of(instance), payload["to"], payload["username"], payload["reason"])


async def _address_changed(instance: Instance, payload: dict[str, Any]) -> Mail:
    return letters.address_changed(sender_of(instance), payload["to"], payload["username"])


def _waits(sender: Sender, to: str, _username: str) -> Mail:
    return letters.somebody_waits(sender, to)


def _name_of(db: Connection, account: Account) -> str:
    actor = actors.actor_by_id(db, account.actor_id)
    return actor.username if actor is not None else ""


_WRITE: dict[Letter, Callable[[Instance, dict[str, Any]], Awaitable[Mail | None]]] = {
    Letter.CONFIRM: _confirm,
    Letter.WAITS: _to_account(_waits),
    Letter.ADMITTED: _admitted,
    Letter.TURNED_AWAY: _turned_away,
    Letter.RESET: _reset,
    Letter.PASSWORD: _to_account(letters.password_changed),
    Letter.ADDRESS: _address,
    Letter.ADDRESS_CHANGED: _address_changed,
}
