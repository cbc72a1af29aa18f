"""Who forgot a password, or lost the machine that was signed in, gets back in: by a link in a letter, or one from the shell."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection

from fediart.domain.actors import Account, password_problem
from fediart.domain.sign_ups import SHELL_RESET_MS, LinkPurpose
from fediart.errors import BadInput, NotFound
from fediart.instance import Instance, token_hash
from fediart.outbox.send_letter import LETTER, Letter, add_letter
from fediart.storage import accounts, actors, audit, sign_ups
from fediart.studio.passwords import hash_password

NO_LINK = "This link is not valid (any more). It holds for a short time and works once."


async def ask_for_link(instance: Instance, asked: str) -> None:
    """`asked`: a username or an address, as typed. The same is done whether there is such an account or not."""

    def act(db: Connection, now: int) -> None:
        add_letter(db, instance, Letter.RESET, now, asked=asked.strip()[:254])

    await instance.storage.write(act, instance.clock())
    instance.wake(LETTER)


async def make_link(instance: Instance, account: Account) -> str:
    """The address of a page that asks for a new password: for the shell."""
    token = secrets.token_urlsafe(32)

    def act(db: Connection, now: int) -> None:
        sign_ups.put_link(db, account.id, LinkPurpose.RESET, token_hash(token), now + SHELL_RESET_MS)
        audit.write_down(db, None, "reset link", f"@{_name(db, account)}", "", now)

    await instance.storage.write(act, instance.clock())
    return f"{instance.identifiers.base_url}/reset?token={token}"


def _name(db: Connection, account: Account) -> str:
    actor = actors.actor_by_id(db, account.actor_id)
    return actor.username if actor is not None else ""


async def is_open(instance: Instance, token: str) -> bool:
    """Does this link hold?"""
    found = await instance.storage.read(sign_ups.link_with, LinkPurpose.RESET, token_hash(token), instance.clock())
    return found is not None


async def choose_password(instance: Instance, token: str, new: str) -> None:
    """By a link, once. Every session and every client's token of the account ends. Raises NotFound, BadInput, TooMany."""
    if not await is_open(instance, token):
        raise NotFound(NO_LINK)
    if problem := password_problem(new):
        raise BadInput(problem)
    hashed = await hash_password(instance, new)

    def act(db: Connection, now: int) -> None:
        found = sign_ups.use_link(db, LinkPurpose.RESET, token_hash(token), now)
        if found is None:
            raise NotFound(NO_LINK)
        accounts.put_password(db, found[0], hashed)
        add_letter(db, instance, Letter.PASSWORD, now, account_id=found[0])

    await instance.storage.write(act, instance.clock())
    instance.wake(LETTER)
