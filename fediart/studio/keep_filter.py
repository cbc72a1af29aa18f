"""Keyword filters of a person: what they do not want to read, or not at once."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from fediart.domain.actors import Account
from fediart.domain.moderation import MAX_FILTERS, MAX_WORD, MAX_WORDS, Filter, FilterAction, Place
from fediart.errors import BadInput, NotFound
from fediart.ids import new_id
from fediart.instance import Instance
from fediart.storage import filters, jobs
from fediart.studio.block_actor import LAPSE

LONGEST_S = 10 * 365 * 24 * 3600


async def keep_filter(
    instance: Instance,
    account: Account,
    *,
    words: Sequence[tuple[str, bool]],
    title: str = "",
    places: Sequence[Place] = tuple(Place),
    action: FilterAction = FilterAction.WARN,
    for_s: int | None = None,
    until: int | None = None,
    filter_id: int | None = None,
) -> Filter:
    """A new one, or another in the place of `filter_id`. `words`: (word or phrase, only where it stands whole).

    It ends `for_s` seconds from now, or at `until` (ms since 1970), or with neither not at all. Raises BadInput, NotFound.
    """
    kept = list(dict.fromkeys((" ".join(word.split()), whole) for word, whole in words if word.strip()))
    if not kept:
        raise BadInput("Type at least one word.")
    if len(kept) > MAX_WORDS or any(len(word) > MAX_WORD for word, _ in kept):
        raise BadInput(f"A filter has at most {MAX_WORDS} words or phrases, each of at most {MAX_WORD} characters.")
    if not places:
        raise BadInput("Say where it holds.")
    now = instance.clock()
    if for_s is not None and for_s > 0:
        until = now + min(for_s, LONGEST_S) * 1000
    name = " ".join(title.split())[:MAX_WORD] or kept[0][0]

    def act(db: Connection) -> Filter:
        if filter_id is not None and filters.filter_of(db, account.actor_id, filter_id) is None:
            raise NotFound("This filter is not there any more.")
        if filter_id is None and filters.count_filters(db, account.actor_id) >= MAX_FILTERS:
            raise BadInput(f"You have {MAX_FILTERS} filters, and more are not kept. Delete one first.")
        held = Filter(filter_id or new_id(now), account.actor_id, name, tuple(dict.fromkeys(places)), action, until, ())
        filters.put_filter(db, held, kept, now)
        if until is not None:
            jobs.add_job(db, LAPSE, {}, now=now, run_at=until)
        stored = filters.filter_of(db, account.actor_id, held.id)
        assert stored is not None  # put just above
        return stored

    stored = await instance.storage.write(act)
    instance.wake(LAPSE)
    return stored


async def drop_filter(instance: Instance, account: Account, filter_id: int) -> None:
    if not await instance.storage.write(filters.drop_filter, account.actor_id, filter_id):
        raise NotFound("This filter is not there any more.")
