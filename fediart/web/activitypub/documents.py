"""What this server shows to other servers: discovery, actors, works, collections."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from fediart import __version__
from fediart.activitypub.builders.activities import build_create
from fediart.activitypub.builders.actor import build_instance_actor, only_keys
from fediart.activitypub.builders.collection import build_collection, build_page
from fediart.activitypub.nodeinfo import (
    SCHEMA,
    VERSIONS,
    build_host_meta_json,
    build_host_meta_xml,
    build_nodeinfo,
    build_nodeinfo_links,
)
from fediart.activitypub.synchronisation import synchronisation_url
from fediart.activitypub.vocabulary import AP_TYPE, NOTE_CONTEXT
from fediart.activitypub.webfinger import asked_username, build_jrd
from fediart.domain.actors import Actor
from fediart.domain.follows import origin_of
from fediart.domain.sign_ups import SignUps
from fediart.domain.works import ShownWork
from fediart.errors import Gone, NotFound, ParseError, SignatureNeeded
from fediart.ids import parse_id
from fediart.instance import Instance
from fediart.outbox.answer_quote import stamp_document
from fediart.outbox.documents import actor_document, media_url, note_document
from fediart.outbox.prove import proven
from fediart.storage import actors, follows, quotes, talk, works
from fediart.storage import shown as shown_rows
from fediart.studio.sign_up import sign_ups_of
from fediart.web.activitypub.asker import admit, is_apart, verified
from fediart.web.negotiate import wants_activity
from fediart.web.refusals import count_refusal
from fediart.web.reservation import reserve_works
from fediart.web.security import keep_private

PAGE = 20
NOT_HERE = "There is nothing here."
LEFT = "This account was deleted."


def activity_response(document: dict[str, Any], *, cache: str = "public, max-age=60") -> Response:
    """Exactly `application/activity+json`: Pixelfed and Lemmy compare the whole string."""
    response = Response(msgspec.json.encode(document), headers={"vary": "Accept, Signature", "cache-control": cache})
    response.headers["content-type"] = AP_TYPE
    return response


def json_response(document: dict[str, Any], content_type: str) -> Response:
    response = Response(msgspec.json.encode(document), headers={"access-control-allow-origin": "*"})
    response.headers["content-type"] = content_type
    return response


def _instance(request: Request) -> Instance:
    instance: Instance = request.app.state.instance
    return instance


async def artist(request: Request, *, also_unsigned: bool = False) -> Actor:
    """The local artist in the path, if whoever asks may know of them. Raises NotFound, NotAllowed, SignatureNeeded.

    `also_unsigned`: let in whoever asks, even where this server wants signatures.
    """
    await admit(request, also_unsigned=also_unsigned)
    instance = _instance(request)
    actor = await instance.storage.read(actors.actor_named, request.path_params["username"])
    if actor is None or actor.kind != "Person" or actor.username != request.path_params["username"]:
        raise NotFound(NOT_HERE)
    if actor.gone:
        raise Gone(LEFT)
    if actor.is_suspended:
        raise NotFound(NOT_HERE)
    if await is_apart(request, actor):
        raise NotFound(NOT_HERE)
    return actor


async def open_work(request: Request, *, also_unsigned: bool = False) -> tuple[ShownWork, list[str], list[str]]:
    """(work, to, cc) of the path, if anybody may see it, or the server that asks.

    Raises as `artist` does, NotFound, or Gone where it was deleted.
    """
    instance = _instance(request)
    actor = await artist(request, also_unsigned=also_unsigned)
    work_id = parse_id(request.path_params["work_id"])
    seen = await instance.storage.read(shown_rows.work_seen_by, work_id, None) if work_id else None
    if seen is None or seen.work.actor_id != actor.id:
        seen = await _meant_for_its_server(request, actor, work_id)
    if seen is None:
        uri = instance.identifiers.work_uri(actor.username, work_id or 0)
        if await instance.storage.read(works.has_tombstone, uri, actor.uri):
            raise Gone("This work was deleted.")
        raise NotFound(NOT_HERE)
    to, cc = await instance.storage.read(works.addresses_of, seen.work.id)
    reserve_works(request, [], of=seen)
    return seen, to, cc


async def _meant_for_its_server(request: Request, actor: Actor, work_id: int | None) -> ShownWork | None:
    """A work that is not for everybody, to the server on which somebody follows its artist or is named in it.

    Whose key it is is found out first, whether there is such a work or not: that a key is fetched must not tell.
    """
    storage = _instance(request).storage
    asker = await verified(request)
    if asker is None or work_id is None or await is_apart(request, actor):
        return None
    if not await storage.read(works.is_for_host, work_id, actor.id, asker.host):
        return None
    keep_private(request)
    return await storage.read(shown_rows.work_seen_by, work_id, actor.id)


async def webfinger(request: Request) -> Response:
    instance = _instance(request)
    ids = instance.identifiers
    resource = request.query_params.get("resource", "")
    try:
        username = asked_username(resource, ids)
    except ParseError as problem:
        count_refusal(request, problem)
        return PlainTextResponse(problem.message, 400, headers={"access-control-allow-origin": "*"})
    actor = await instance.storage.read(actors.actor_named, username) if username else None
    if username == ids.instance_username:
        document = build_jrd(ids, ids.instance_username, ids.instance_actor_uri, ids.about_url, is_person=False)
    elif actor is not None and actor.gone:
        raise Gone(LEFT)
    elif actor is not None and actor.kind == "Person" and not actor.is_suspended:
        shown = (await instance.storage.read(actors.shown_actors, [actor.id]))[actor.id].avatar
        avatar = (media_url(ids, shown.public.name), shown.public.media_type) if shown is not None and shown.public else None
        document = build_jrd(ids, actor.username, actor.uri, actor.url, is_person=True, avatar=avatar)
    else:
        raise NotFound("Nobody here has this name.")
    wanted = request.query_params.getlist("rel")
    if wanted:
        document["links"] = [link for link in document["links"] if link["rel"] in wanted]
    return json_response(document, "application/jrd+json")


async def host_meta(request: Request) -> Response:
    ids = _instance(request).identifiers
    if request.url.path.endswith(".json") or "application/json" in request.headers.get("accept", ""):
        return json_response(build_host_meta_json(ids), "application/json")
    return Response(build_host_meta_xml(ids), headers={"access-control-allow-origin": "*"}, media_type="application/xrd+xml")


async def nodeinfo_links(request: Request) -> Response:
    return json_response(build_nodeinfo_links(_instance(request).identifiers), "application/json")


async def nodeinfo(request: Request) -> Response:
    instance = _instance(request)
    version = request.path_params["version"]
    if version not in VERSIONS:
        raise NotFound(NOT_HERE)
    users, posts = await instance.storage.read(actors.local_counts)
    settings = instance.config.instance
    document = build_nodeinfo(
        version,
        software=__version__,
        name=settings.name,
        description=settings.description,
        users=users,
        posts=posts,
        is_open=await sign_ups_of(instance) == SignUps.OPEN,
        preset=instance.policy.preset,
        statement=instance.identifiers.absolute(instance.policy.statement_url),
    )
    return json_response(document, f'application/json; profile="{SCHEMA}{version}#"')


async def instance_actor(request: Request) -> Response:
    instance = _instance(request)
    own = instance.instance_actor
    return activity_response(build_instance_actor(instance.identifiers, own.public_key_pem, own.multikeys))


async def instance_outbox(request: Request) -> Response:
    return activity_response(build_collection(_instance(request).identifiers.instance_outbox, 0, items=[]))


async def _last_document(request: Request) -> Response:
    """Of who is gone: her key alone, until everybody was told that she is, so that they can see who says so. Raises Gone."""
    instance = _instance(request)
    found = await instance.storage.read(actors.actor_named, request.path_params["username"])
    is_told = found is None or await instance.storage.read(actors.signing_key, found.id) is None
    shown = await instance.storage.read(actors.shown_actor, found.id) if found is not None and not is_told else None
    if shown is None or not wants_activity(request):
        raise Gone(LEFT)
    return activity_response(actor_document(instance.identifiers, shown, instance.policy), cache="no-store")


async def actor(request: Request) -> Response:
    instance = _instance(request)
    is_page = not wants_activity(request)
    try:
        found = await artist(request, also_unsigned=True)
    except Gone:
        return await _last_document(request)
    if is_page:
        return RedirectResponse(found.url, 301, headers={"vary": "Accept"})
    shown = await instance.storage.read(actors.shown_actor, found.id)
    if shown is None:
        raise NotFound(NOT_HERE)
    reserve_works(request, [], of=shown)
    document = actor_document(instance.identifiers, shown, instance.policy)
    if instance.config.federation.authorized_fetch and await verified(request) is None:
        return activity_response(only_keys(document))
    return activity_response(document)


async def _note(request: Request, seen: ShownWork, to: list[str], cc: list[str]) -> dict[str, Any]:
    instance = _instance(request)
    said = await instance.storage.read(talk.talk_of, seen.work)
    return note_document(instance.identifiers, seen, instance.policy, to=to, cc=cc, talk=said)


async def work(request: Request) -> Response:
    is_page = not wants_activity(request)
    seen, to, cc = await open_work(request, also_unsigned=is_page)
    if is_page:
        return RedirectResponse(seen.work.url, 302, headers={"vary": "Accept"})
    return activity_response(await _proven(request, seen, await _note(request, seen, to, cc)))


async def _proven(request: Request, seen: ShownWork, document: dict[str, Any]) -> dict[str, Any]:
    """With a proof of when the work was published or changed: asked twice, it is the same."""
    work = seen.work
    return await _instance(request).storage.read(proven, document, work.actor_id, work.edited_at or work.published_at)


async def work_activity(request: Request) -> Response:
    seen, to, cc = await open_work(request)
    return activity_response(await _proven(request, seen, build_create(await _note(request, seen, to, cc))))


async def likes(request: Request) -> Response:
    """How many; by whom is not given away."""
    seen, _, _ = await open_work(request)
    return activity_response(build_collection(f"{seen.work.uri}/likes", seen.work.likes, kind="Collection"))


async def shares(request: Request) -> Response:
    seen, _, _ = await open_work(request)
    return activity_response(build_collection(f"{seen.work.uri}/shares", seen.work.boosts, kind="Collection"))


async def replies(request: Request) -> Response:
    """The answers that everybody may see, oldest first, by pages. Only their addresses: each is asked of its own server."""
    instance = _instance(request)
    seen, _, _ = await open_work(request)
    uri = f"{seen.work.uri}/replies"
    if request.query_params.get("page") != "true":
        total = await instance.storage.read(talk.count_answers, seen.work.id)
        return activity_response(build_collection(uri, total, first=f"{uri}?page=true", kind="Collection"))
    after = parse_id(request.query_params.get("min_id", "")) or 0
    found = await instance.storage.read(talk.answers_to, seen.work.id, after=after, limit=PAGE)
    following = f"{uri}?page=true&min_id={found[-1][0]}" if len(found) == PAGE else None
    items = [address for _, address in found]
    page = build_page(f"{uri}?{request.url.query}", uri, items, next_page=following, kind="CollectionPage")
    return activity_response(page)


async def context(request: Request) -> Response:
    """The conversation that began with a work, oldest first, by pages (FEP-f228)."""
    instance = _instance(request)
    seen, _, _ = await open_work(request)
    if seen.work.in_reply_to_uri is not None:
        raise NotFound(NOT_HERE)
    uri = instance.identifiers.context_uri(seen.work.uri)
    found = await instance.storage.read(talk.conversation, seen.work)
    if request.query_params.get("page") != "true":
        whole = build_collection(uri, len(found), first=f"{uri}?page=true") | {"attributedTo": seen.author.actor.uri}
        return activity_response(whole)
    after = parse_id(request.query_params.get("min_id", "")) or 0
    rest = found if after == 0 else [item for item in found[1:] if item[0] > after]
    following = f"{uri}?page=true&min_id={rest[PAGE - 1][0]}" if len(rest) > PAGE else None
    items = [address for _, address in rest[:PAGE]]
    return activity_response(build_page(f"{uri}?{request.url.query}", uri, items, next_page=following))


async def stamp(request: Request) -> Response:
    """The leave to quote a work, for whoever may see the work; 410 once it was taken back."""
    instance = _instance(request)
    seen, _, _ = await open_work(request)
    artist_actor = seen.author.actor
    quote_id = parse_id(request.path_params["quote_id"]) or 0
    quote = await instance.storage.read(quotes.quote_by_id, quote_id, seen.work.id)
    if quote is None:
        uri = instance.identifiers.stamp_uri(seen.work.uri, quote_id)
        if await instance.storage.read(works.has_tombstone, uri, artist_actor.uri):
            raise Gone("Its artist took this back.")
        raise NotFound(NOT_HERE)
    return activity_response(stamp_document(instance.identifiers, artist_actor, seen.work, quote))


async def outbox(request: Request) -> Response:
    """Newest first, by pages; only what anybody may see."""
    instance, found = _instance(request), await artist(request)
    uri = found.outbox or ""
    if request.query_params.get("page") != "true":
        total = await instance.storage.read(works.count_open_works, found.id)
        return activity_response(build_collection(uri, total, first=f"{uri}?page=true"))
    max_id = parse_id(request.query_params.get("max_id", ""))
    listed = await instance.storage.read(works.works_of, found.id, None, max_id=max_id, limit=PAGE)
    reserve_works(request, listed, of=listed[0].author if listed else None)
    items = []
    for seen in listed:
        to, cc = await instance.storage.read(works.addresses_of, seen.work.id)
        create = build_create(await _note(request, seen, to, cc))
        items.append({key: value for key, value in create.items() if key != "@context"})
    following = f"{uri}?page=true&max_id={listed[-1].work.id}" if len(listed) == PAGE else None
    return activity_response(build_page(f"{uri}?{request.url.query}", uri, items, next_page=following, context=NOTE_CONTEXT))


async def inbox(request: Request) -> Response:
    """What came in is for its owner only; what is left of it for others is an empty collection.

    https://www.w3.org/TR/activitypub/#inbox
    """
    found = await artist(request)
    return activity_response(build_collection(_instance(request).identifiers.inbox(found.username), 0, items=[]))


async def instance_inbox(request: Request) -> Response:
    return activity_response(build_collection(_instance(request).identifiers.instance_inbox, 0, items=[]))


async def followers(request: Request) -> Response:
    return await _people(request, followers_of=True)


async def following(request: Request) -> Response:
    return await _people(request, followers_of=False)


async def _people(request: Request, *, followers_of: bool) -> Response:
    """Only the counts: whom an artist knows is not given away."""
    instance, found = _instance(request), await artist(request)
    counts = await instance.storage.read(follows.counts, found.id)
    uri = (found.followers_uri if followers_of else found.following_uri) or ""
    return activity_response(build_collection(uri, counts[0] if followers_of else counts[1]))


async def followers_part(request: Request) -> Response:
    """The followers that the server has which asks, for that server only (FEP-8fcf). Who does not sign has none."""
    instance, found = _instance(request), await artist(request)
    signer = await verified(request)
    if signer is None or signer.is_suspended:
        raise SignatureNeeded("Only servers that sign what they ask hear of followers.")
    uris = await instance.storage.read(follows.followers_on, found.id, origin_of(signer.uri))
    whole = build_collection(synchronisation_url(found.followers_uri or ""), len(uris), items=list(uris))
    return activity_response(whole, cache="private, no-store")


async def featured(request: Request) -> Response:
    found = await artist(request)
    return activity_response(build_collection(found.featured_uri or "", 0, items=[]))
