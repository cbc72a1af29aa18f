"""After a change of the policy: what is stored is judged by the new revision."""

from __future__ import annotations

from fediart.instance import Instance
from fediart.storage import policies


async def rejudge_works(instance: Instance, number: int) -> None:
    """`number`: the revision that asked for it; where a newer one holds, that one is followed."""
    current = await instance.storage.read(policies.current_policy)
    if current is not None:
        instance.policy = current


async def give_up_rejudging(instance: Instance, number: int) -> None:
    """What was judged stays so; the rest is as it was."""
