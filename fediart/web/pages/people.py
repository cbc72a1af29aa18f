"""People on pages: portfolios, feeds, finding and following, notifications."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from fediart.clock import to_iso
from fediart.domain.actors import Actor
from fediart.domain.works import Work
from fediart.errors import FediartError, Gone, NotFound
from fediart.ids import parse_id
from fediart.inbox.resolve import resolve
from fediart.storage import actors, follows, works
from fediart.storage import notifications as notices
from fediart.storage.blocks import hides_from
from fediart.studio import follow_actor
from fediart.studio.answer_request import answer_request
from fediart.studio.look_further import look_at_actor
from fediart.studio.use_pictures import use_pictures
from fediart.web.activitypub import documents
from fediart.web.negotiate import wants_activity
from fediart.web.pages.forms import back, go, instance_of, member, member_or_sign_in, path_id, text, to_origin, trusted_form
from fediart.web.refusals import count_refusal
from fediart.web.render import profile_path, render, render_text
from fediart.web.reservation import reserve_works
from fediart.web.security import signed_in

PAGE = 30
FEED = 20


async def _named(request: Request) -> Actor:
    name, _, host = request.path_params["name"].partition("@")
    instance = instance_of(request)
    host = "" if host.lower() in instance.identifiers.hosts else host.lower()
    actor = await instance.storage.read(actors.actor_named, name, host)
    if actor is not None and actor.is_local and actor.gone:
        raise Gone(documents.LEFT)
    if actor is None or actor.gone or (actor.is_local and actor.kind != "Person"):
        raise NotFound("Nobody here has this name.")
    account = await signed_in(request)
    if await instance.storage.read(hides_from, actor, account.actor_id if account is not None else None):
        raise NotFound("Nobody here has this name.")
    return actor


async def profile(request: Request) -> Response:
    actor = await _named(request)
    if wants_activity(request) and actor.is_local:
        request.path_params["username"] = actor.username
        return await documents.actor(request)
    instance, account = instance_of(request), await signed_in(request)
    viewer = account.actor_id if account else None
    if not actor.is_local and viewer is None:
        return to_origin(actor.uri, actor.url)
    shown = await instance.storage.read(actors.shown_actor, actor.id)
    max_id = parse_id(request.query_params.get("max_id", ""))
    listed = await instance.storage.read(works.works_of, actor.id, viewer, max_id=max_id, limit=PAGE, exclude_replies=True)
    held = (await instance.storage.read(follows.relationships, viewer, [actor.id]))[0] if viewer else None
    await use_pictures(instance, viewer, listed, [shown] if shown is not None else [])
    reserve_works(request, listed, of=shown)
    is_coming = await look_at_actor(instance, viewer, actor)
    headers = {"link": f'<{actor.uri}>; rel="alternate"; type="application/activity+json"'} if actor.is_local else None
    return await render(
        request,
        "profile.html",
        200,
        headers,
        person=shown,
        works=listed,
        relationship=held,
        is_me=viewer == actor.id,
        is_coming=is_coming,
        older=listed[-1].work.id if len(listed) == PAGE else None,
    )


async def feed(request: Request) -> Response:
    """Atom: the newest public works."""
    actor = await _named(request)
    if not actor.is_local:
        raise NotFound("Only artists of this server have a feed here.")
    instance = instance_of(request)
    shown = await instance.storage.read(actors.shown_actor, actor.id)
    listed = await instance.storage.read(works.works_of, actor.id, None, limit=FEED, exclude_replies=True)
    reserve_works(request, listed, of=shown)
    updated = to_iso(max((item.work.edited_at or item.work.published_at for item in listed), default=actor.created_at))
    body = render_text(
        "feed.atom.xml",
        person=shown,
        works=listed,
        updated=updated,
        base_url=instance.identifiers.base_url,
        domain=instance.identifiers.account_domain,
    )
    return Response(body, headers={"cache-control": "public, max-age=300"}, media_type="application/atom+xml")


async def search(request: Request) -> Response:
    """A handle, or the address of a profile or a work, leads to its page here."""
    account = await member(request)
    words = request.query_params.get("q", "").strip()
    if not words:
        return await render(request, "search.html", q="", problem="")
    try:
        found = await resolve(instance_of(request), words, account.actor_id)
        if isinstance(found, Actor) and await instance_of(request).storage.read(hides_from, found, account.actor_id):
            raise NotFound("Nobody is found under this name.")
    except FediartError as problem:
        count_refusal(request, problem)
        return await render(request, "search.html", 200, q=words[:200], problem=problem.message)
    if isinstance(found, Work):
        return go(f"/works/{found.id}")
    shown = (await instance_of(request).storage.read(actors.shown_actors, [found.id]))[found.id]
    return go(profile_path(shown))


async def authorize_interaction(request: Request) -> Response:
    """Where another server's Follow button sends people of this one."""
    came = await member_or_sign_in(request)
    if isinstance(came, Response):
        return came
    return go(f"/search?q={quote(request.query_params.get('uri', '')[:2_000])}")


async def follow(request: Request) -> Response:
    account, target = await member(request), path_id(request)
    instance = instance_of(request)
    async with trusted_form(request) as form:
        action = text(form, "action")
        if action == "unfollow":
            await follow_actor.unfollow(instance, account, target)
        elif action in ("show-boosts", "hide-boosts"):
            await follow_actor.show_boosts(instance, account, target, action == "show-boosts")
        else:
            await follow_actor.follow(instance, account, target)
        return back(request, form, "/home")


async def requests(request: Request) -> Response:
    """Who asks to follow the artist that is signed in."""
    account = await member(request)
    max_id = parse_id(request.query_params.get("max_id", ""))
    found = await instance_of(request).storage.read(follows.requests_to, account.actor_id, max_id=max_id, limit=PAGE)
    return await render(request, "follow_requests.html", people=found.items, older=found.older)


async def answer(request: Request) -> Response:
    account, follower_id = await member(request), path_id(request)
    async with trusted_form(request) as form:
        action = text(form, "action")
    if action not in ("accept", "reject"):
        raise NotFound("There is nothing here.")
    await answer_request(instance_of(request), account, follower_id, accept=action == "accept")
    return go("/follow-requests")


async def notifications(request: Request) -> Response:
    account = await member(request)
    instance = instance_of(request)
    max_id = parse_id(request.query_params.get("max_id", ""))
    listed = await instance.storage.read(notices.notifications_of, account.actor_id, max_id=max_id, limit=PAGE)
    await instance.storage.write(notices.mark_seen, account.actor_id)
    asking = await instance.storage.read(follows.count_requests, account.actor_id)
    return await render(
        request, "notifications.html", requests=asking, notices=listed.items, older=listed.older, is_first=max_id is None
    )
