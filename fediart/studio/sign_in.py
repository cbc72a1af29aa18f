"""Sessions: signing in and out, and a new password. Also the tokens of client programs."""

from __future__ import annotations

import secrets

from fediart.domain.actors import Account, password_problem
from fediart.errors import BadInput, NotFound, SignInNeeded
from fediart.instance import Instance, token_hash
from fediart.storage import accounts
from fediart.studio.passwords import hash_password, password_fits

SCOPES = frozenset({"read", "write", "follow", "push"})


async def sign_in(instance: Instance, username: str, password: str, user_agent: str) -> str:
    """A new session's token. The answer to a wrong name and to a wrong password is the same."""
    name = username.strip().lower().removeprefix("@").split("@")[0]
    account = await instance.storage.read(accounts.account_named, name)
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
    unknown = [scope for scope in wanted if scope.split(":")[0] not in SCOPES]
    if unknown or not wanted:
        raise BadInput(f"Unknown scope {', '.join(unknown) or '(none)'}. Known: {', '.join(sorted(SCOPES))}.")
    account = await instance.storage.read(accounts.account_named, username.lower())
    if account is None:
        raise NotFound(f"There is no account {username} here.")
    token = secrets.token_urlsafe(32)
    await instance.storage.write(accounts.insert_grant, token_hash(token), account.id, name, " ".join(wanted), instance.clock())
    return token
