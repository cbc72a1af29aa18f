"""Somebody here says that they know what changed in the AI-art policy: it is not announced to them any more."""

from __future__ import annotations

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.errors import NotFound
from fediart.instance import Instance
from fediart.storage import accounts, policies


async def read_announcement(instance: Instance, account: Account, number: int) -> None:
    """Up to the revision with this number. Twice is once. Raises NotFound."""

    def act(db: Connection) -> None:
        if policies.policy_numbered(db, number) is None:
            raise NotFound("There is no such announcement.")
        accounts.put_policy_read(db, account.id, number)

    await instance.storage.write(act)
