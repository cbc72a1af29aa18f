"""Sessions: signing in and out, and a new password. Also the tokens of client programs."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection

from fediart.domain.actors import Account, password_problem
from fediart.errors import BadInput, NotFound, SignInNeeded
from fediart.instance import Instance, token_hash
from fediart.outbox.send_letter import LETTER, Letter, add_letter
from fediart.storage import accounts
from fediart.studio.passwords import hash_password, password_fits

SCOPES: dict[str, tuple[str, ...]] = {
    "read": (
        "accounts",
        "blocks",
        "bookmarks",
        "favourites",
        "filters",
        "follows",
        "lists",
        "mutes",
        "notifications",
        "search",
        "statuses",
    ),
    "write": (
        "accounts",
        "blocks",
        "bookmarks",
        "conversations",
        "favourites",
        "filters",
        "follows",
        "lists",
        "media",
        "mutes",
        "notifications",
        "reports",
        "statuses",
    ),
    "follow": (),
    "push": (),
}
"""What a token may be given, and the parts of it. https://docs.joinmastodon.org/api/oauth-scopes/"""


def meant_username(typed: str) -> str:
    """The one spelling of what is typed as a username: `@Mira@art.example` means mira."""
    return typed.strip().lower().removeprefix("@").split("@")[0]


async def sign_in(instance: Instance, username: str, password: str, user_agent: str) -> str:
    """A new session's token. The answer to a wrong name and to a wrong password is the same."""
    account = await instance.storage.read(accounts.account_named, meant_username(username))
    if not await password_fits(instance, account.password_hash if account else None, password) or account is None:
        raise SignInNeeded("This username and password do not fit together.")
    token = secrets.token_urlsafe(32)
    await instance.storage.write(accounts.open_session, token_hash(token), account.id, instance.clock(), user_agent)
    return token


async def sign_out(instance: Instance, token: str) -> None:
    await instance.storage.write(accounts.end_session, token_hash(token))


async def sign_out_everywhere(instance: Instance, account: Account, user_agent: str) -> str:
    """Ends every session and every client's token. Returns the token of a new session, for whoever asked.

    A new one, because whoever stole the old one's token holds it too.
    """
    return await _begin_anew(instance, account, None, user_agent)


async def change_password(instance: Instance, account: Account, old: str, new: str, user_agent: str) -> str:
    """The same with another password."""
    if not await password_fits(instance, account.password_hash, old):
        raise BadInput("The old password is not right.")
    if problem := password_problem(new):
        raise BadInput(problem)
    return await _begin_anew(instance, account, await hash_password(instance, new), user_agent)


async def _begin_anew(instance: Instance, account: Account, password_hash: str | None, user_agent: str) -> str:
    token, now = secrets.token_urlsafe(32), instance.clock()

    def act(db: Connection) -> None:
        if password_hash is None:
            accounts.end_everything(db, account.id)
        else:
            accounts.put_password(db, account.id, password_hash)
            add_letter(db, instance, Letter.PASSWORD, now, account_id=account.id)
        accounts.open_session(db, token_hash(token), account.id, now, user_agent)

    await instance.storage.write(act)
    instance.wake(LETTER)
    return token


async def put_password(instance: Instance, account: Account, new: str) -> None:
    """Set a password without asking for the old one: for the command line. Ends every session and token."""
    if problem := password_problem(new):
        raise BadInput(problem)
    await instance.storage.write(accounts.put_password, account.id, await hash_password(instance, new))


async def grant_token(instance: Instance, username: str, scopes: str, name: str) -> str:
    """A token for a client program."""
    wanted = scopes.split()
    known = {*SCOPES, *(f"{whole}:{part}" for whole, parts in SCOPES.items() for part in parts)}
    unknown = [scope for scope in wanted if scope not in known]
    if unknown or not wanted:
        raise BadInput(
            f"Unknown scope {', '.join(unknown) or '(none)'}. Known: {', '.join(sorted(SCOPES))}, and parts like write:media."
        )
    account = await instance.storage.read(accounts.account_named, meant_username(username))
    if account is None:
        raise NotFound(f"There is no account {username} here.")
    token = secrets.token_urlsafe(32)
    await instance.storage.write(accounts.insert_grant, token_hash(token), account.id, name, " ".join(wanted), instance.clock())
    return token
