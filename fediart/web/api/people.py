"""Lists of people: who follows whom, who liked or boosted a work.

Such a list is for the artist whose it is. Others get an empty one, as where Mastodon's users hide theirs: whom an artist knows,
and who likes what, is not given away.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.listed import Listed
from fediart.domain.works import ShownActor
from fediart.errors import NotFound
from fediart.storage import follows, reactions
from fediart.storage.shown import work_seen_by
from fediart.web.api import entities
from fediart.web.api.accounts import path_id
from fediart.web.api.answers import answer, page_of, paged
from fediart.web.api.auth import account_in, instance_of, needs, viewer


def _people(request: Request, found: Listed[ShownActor]) -> Response:
    ids = instance_of(request).identifiers
    return paged(request, [entities.account(ids, shown) for shown in found.items], found.ends)


@needs("read:accounts")
async def followers(request: Request) -> Response:
    """Who follows the account, for itself."""
    cut, actor_id = page_of(request, 40), path_id(request)
    if actor_id != account_in(request).actor_id:
        return answer([])
    storage = instance_of(request).storage
    return _people(request, await storage.read(follows.followers_of, actor_id, max_id=cut.max_id, limit=cut.limit))


@needs("read:accounts")
async def following(request: Request) -> Response:
    """Whom the account follows, for itself."""
    cut, actor_id = page_of(request, 40), path_id(request)
    if actor_id != account_in(request).actor_id:
        return answer([])
    storage = instance_of(request).storage
    return _people(request, await storage.read(follows.following_of, actor_id, max_id=cut.max_id, limit=cut.limit))


async def favourited_by(request: Request) -> Response:
    return await _reacted(request, "like")


async def reblogged_by(request: Request) -> Response:
    return await _reacted(request, "boost")


async def _reacted(request: Request, kind: str) -> Response:
    storage, cut, by = instance_of(request).storage, page_of(request, 40), await viewer(request)
    seen = await storage.read(work_seen_by, path_id(request), by)
    if seen is None:
        raise NotFound("Record not found")
    if seen.work.actor_id != by:
        return answer([])
    return _people(request, await storage.read(reactions.reacted_to, kind, seen.work.id, max_id=cut.max_id, limit=cut.limit))
