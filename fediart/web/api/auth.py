"""Who a client program acts for, and what it may do. Every route names its scope; without one it is open to all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.actors import Account
from fediart.errors import NotAllowed, SignInNeeded, Unavailable
from fediart.instance import Instance, token_hash
from fediart.storage import accounts
from fediart.storage.accounts import Grant

log = structlog.get_logger("fediart.web")

Handler = Callable[[Request], Awaitable[Response]]


def instance_of(request: Request) -> Instance:
    instance: Instance = request.app.state.instance
    return instance


async def grant(request: Request) -> Grant | None:
    """The grant of the Bearer token, or None without one. Raises SignInNeeded for a token that is not valid."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        return None
    instance, held = instance_of(request), token_hash(token.strip())
    found = await instance.storage.read(accounts.grant_of, held)
    if found is None:
        raise SignInNeeded("The access token is invalid")
    if found.used_at <= instance.clock() - accounts.SEEN_AGAIN_MS:
        try:
            await instance.storage.write(accounts.use_grant, held, instance.clock())
        except Unavailable as problem:
            # Who only reads is not kept out by a full disk.
            log.warning("grant.use_not_kept", reason=problem.message, detail=problem.detail)
    return found


def allows(held: tuple[str, ...], scope: str) -> bool:
    """`write:media` is held by `write:media` and by `write`; `follow` covers follows, blocks and mutes as it did of old."""
    whole, _, part = scope.partition(":")
    return scope in held or whole in held or (part in ("blocks", "follows", "mutes") and "follow" in held)


def needs(scope: str) -> Callable[[Handler], Handler]:
    """The route's caller must hold `scope`; its account is then in `request.state.account`."""

    def wrap(handler: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            held = await grant(request)
            if held is None:
                raise SignInNeeded("This method requires an authenticated user")
            if not allows(held.scopes, scope):
                raise NotAllowed("This action is outside the authorized scopes")
            account = await instance_of(request).storage.read(accounts.account_by_id, held.account_id)
            if account is None:
                raise SignInNeeded("The access token is invalid")
            if account.suspended_at is not None:
                raise NotAllowed("The moderators of this server have suspended this account")
            request.state.account = account
            return await handler(request)

        return checked

    return wrap


def account_in(request: Request) -> Account:
    account: Account = request.state.account
    return account


async def viewer(request: Request) -> int | None:
    """The actor who looks at works, on routes that are open to all. Without the scope for it, a stranger looks."""
    held = await grant(request)
    return held.actor_id if held is not None and allows(held.scopes, "read:statuses") else None
