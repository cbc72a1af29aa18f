"""A person's own word on how AI-made works of others are shown to them: never milder than the server's policy."""

from __future__ import annotations

from fediart.domain.actors import Account
from fediart.domain.showing import Showing
from fediart.instance import Instance
from fediart.storage import accounts


async def choose_ai_view(instance: Instance, account: Account, wish: Showing) -> None:
    """It holds at once, also for those whom they follow."""
    await instance.storage.write(accounts.put_ai_view, account.id, wish.value)
