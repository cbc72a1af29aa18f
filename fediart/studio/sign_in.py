"""Sessions: signing in and out, and a new password. Also the tokens of client programs."""

from __future__ import annotations

import secrets

from fediart.domain.actors import Account, password_problem
from fediart.errors import BadInput, NotFound, SignInNeeded
from fediart.instance import Instance, token_hash
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


async def change_password(instance: Instance, account: Account, old: str, new: str, *, session: str | None) -> None:
    """Ends every other session and every client's token."""
    if not await password_fits(instance, account.password_hash, old):
        raise BadInput("The old password is not right.")
    await put_password(instance, account, new, session=session)


async def put_password(instance: Instance, account: Account, new: str, *, session: str | None = None) -> None:
    """Set a password without asking for the old one: for the command line."""
    if problem := password_problem(new):
        raise BadInput(problem)
    hashed = await hash_password(instance, new)
    await instance.storage.write(accounts.put_password, account.id, hashed, keep_session=token_hash(session) if session else None)


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
