"""An admin gives one artist more or less room than everybody has."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.errors import BadInput, NotFound
from fediart.instance import Instance
from fediart.storage import accounts, audit

MAX_MB = 1_000_000_000


async def give_quota(instance: Instance, username: str, quota_mb: int | None, *, by: Account | None) -> None:
    """`quota_mb` None: as everybody; 0: no bound. `by` None: from the shell. Raises BadInput, NotFound."""
    if quota_mb is not None and not 0 <= quota_mb <= MAX_MB:
        raise BadInput("The room for pictures is a number of megabytes, or 0 for no bound.")
    name = username.strip().lower().removeprefix("@")

    def act(db: Connection, now: int) -> None:
        account = accounts.account_named(db, name)
        if account is None:
            raise NotFound(f"There is no account {username[:60]} here.")
        accounts.put_quota(db, account.id, quota_mb)
        audit.write_down(db, by.id if by is not None else None, "quota", f"@{name}", quota_in_words(quota_mb), now)

    await instance.storage.write(act, instance.clock())


def quota_in_words(quota_mb: int | None) -> str:
    if quota_mb is None:
        return "as everybody"
    return f"{quota_mb} MB" if quota_mb else "no bound"
