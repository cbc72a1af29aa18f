"""An artist's e-mail address: it counts once a letter to it was answered, and the one before is told."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.sign_ups import LinkPurpose, email_problem
from fediart.errors import BadInput, Conflict, NotFound
from fediart.instance import Instance, token_hash
from fediart.outbox.send_letter import LETTER, Letter, add_letter
from fediart.storage import accounts, actors, sign_ups
from fediart.studio.passwords import password_fits

NO_LINK = "This link is not valid (any more). It holds for two days and works once."


async def ask_for_address(instance: Instance, account: Account, email: str, password: str) -> None:
    """A letter with a link goes to `email`; until then the address before stays. Raises BadInput, TooMany."""
    email = email.strip().lower()
    if not instance.config.mail.is_on:
        raise BadInput("This server sends no mail.")
    if problem := email_problem(email):
        raise BadInput(problem)
    await _check(instance, account, password)

    def act(db: Connection, now: int) -> None:
        add_letter(db, instance, Letter.ADDRESS, now, account_id=account.id, to=email)

    await instance.storage.write(act, instance.clock())
    instance.wake(LETTER)


async def drop_address(instance: Instance, account: Account, password: str) -> None:
    """Nothing can be sent any more, and a forgotten password needs the admin. Raises BadInput, TooMany."""
    await _check(instance, account, password)
    await instance.storage.write(_put, instance, account.id, "", instance.clock())
    instance.wake(LETTER)


async def _check(instance: Instance, account: Account, password: str) -> None:
    if not await password_fits(instance, account.password_hash, password):
        raise BadInput("Nothing was changed: the password is not right.")


async def confirm_address(instance: Instance, token: str) -> None:
    """The link of the letter. Raises NotFound, Conflict."""

    def act(db: Connection, now: int) -> None:
        found = sign_ups.use_link(db, LinkPurpose.EMAIL, token_hash(token), now)
        if found is None:
            raise NotFound(NO_LINK)
        account_id, email = found
        if accounts.account_with_email(db, email) is not None:
            raise Conflict("There is an account with this e-mail address already.")
        _put(db, instance, account_id, email, now)

    await instance.storage.write(act, instance.clock())
    instance.wake(LETTER)


def _put(db: Connection, instance: Instance, account_id: int, email: str, now: int) -> None:
    account = accounts.account_by_id(db, account_id)
    actor = actors.actor_by_id(db, account.actor_id) if account is not None else None
    if account is None or actor is None:
        return
    accounts.put_email(db, account_id, email)
    sign_ups.drop_link(db, account_id, LinkPurpose.RESET)
    if account.email and account.email != email:
        add_letter(db, instance, Letter.ADDRESS_CHANGED, now, to=account.email, username=actor.username)
