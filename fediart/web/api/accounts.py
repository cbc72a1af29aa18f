"""Accounts: who they are, what they published, following them, finding them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping

import msgspec
import structlog
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from fediart.activitypub.identifiers import is_web_uri
from fediart.domain.actors import Actor
from fediart.domain.images import Purpose
from fediart.domain.works import Work
from fediart.errors import BadInput, FediartError, NotFound
from fediart.ids import parse_id
from fediart.inbox.resolve import resolve
from fediart.instance import Instance
from fediart.storage import actors, follows, pins, works
from fediart.storage import shown as shown_rows
from fediart.storage.blocks import hides_from
from fediart.studio import follow_actor
from fediart.studio.add_image import put_portrait
from fediart.studio.allow_quotes import allow_quotes
from fediart.studio.answer_request import answer_request
from fediart.studio.edit_profile import edit_profile
from fediart.studio.look_further import look_at_actor
from fediart.studio.use_pictures import use_pictures
from fediart.web.api import entities
from fediart.web.api.answers import answer, page_of, paged
from fediart.web.api.auth import account_in, grant, instance_of, needs, viewer
from fediart.web.uploads import many, on_disk, one, parameters, reading_form, truth

log = structlog.get_logger("fediart.api")


async def _account(request: Request, actor_id: int) -> dict[str, object]:
    instance, held = instance_of(request), await grant(request)
    shown = await instance.storage.read(actors.shown_actor, actor_id)
    if shown is None or shown.actor.gone:
        raise NotFound("Record not found")
    if await instance.storage.read(hides_from, shown.actor, held.actor_id if held is not None else None):
        raise NotFound("Record not found")
    return entities.account(instance.identifiers, shown)


def path_id(request: Request, name: str = "id") -> int:
    id_ = parse_id(request.path_params[name])
    if id_ is None:
        raise NotFound("Record not found")
    return id_


async def _own_account(request: Request) -> Response:
    instance, actor_id = instance_of(request), account_in(request).actor_id
    shown = await instance.storage.read(actors.shown_actor, actor_id)
    if shown is None:
        raise NotFound("Record not found")
    asking = await instance.storage.read(follows.count_requests, actor_id)
    return answer(entities.own_account(instance.identifiers, shown, asking))


@needs("read:accounts")
async def verify_credentials(request: Request) -> Response:
    return await _own_account(request)


@needs("write:accounts")
async def update_credentials(request: Request) -> Response:
    """What is not named stays as it is. Pictures are shown once they are cloaked."""
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        async with reading_form(request, files=2) as form:
            await _edit(request, {name: value for name, value in form.multi_items() if isinstance(value, str)})
            for purpose in (Purpose.AVATAR, Purpose.HEADER):
                upload = form.get(purpose.value)
                if isinstance(upload, UploadFile) and upload.filename:
                    async with on_disk(instance_of(request), upload) as path:
                        await put_portrait(instance_of(request), account_in(request), path, upload.filename, purpose)
    else:
        await _edit(request, await parameters(request))
    return await _own_account(request)


async def _edit(request: Request, given: Mapping[str, str | list[str]]) -> None:
    said = {name: value for name, value in given.items() if isinstance(value, str)}
    await edit_profile(
        instance_of(request),
        account_in(request),
        name=said.get("display_name"),
        bio=said["note"].replace("\r\n", "\n") if "note" in said else None,
        fields=_fields(given),
        locked=truth(said["locked"]) if "locked" in said else None,
    )
    policy = said.get("source[quote_policy]") or _source(said.get("source", "")).quote_policy
    if policy:
        if policy not in entities.QUOTES_FROM_API:
            raise BadInput("Validation failed: Default quote policy is not included in the list")
        await allow_quotes(instance_of(request), account_in(request), entities.QUOTES_FROM_API[policy])


class _Source(msgspec.Struct):
    quote_policy: str = ""


def _source(written: str) -> _Source:
    """`source` of a JSON body; of a form its parts have names of their own."""
    try:
        return msgspec.json.decode(written, type=_Source) if written else _Source()
    except msgspec.DecodeError:
        raise BadInput("Validation failed: Source is not an object") from None


class _Field(msgspec.Struct):
    name: str = ""
    value: str = ""


_FIELD = re.compile(r"fields_attributes\[(\d{1,3})\]\[(name|value)\]")


def _fields(given: Mapping[str, str | list[str]]) -> list[tuple[str, str]] | None:
    """`fields_attributes[0][name]` of a form; in JSON a list of objects, or an object that holds them by number."""
    held = given.get("fields_attributes")
    found: dict[str, _Field] = {}
    try:
        if isinstance(held, list):
            found = {str(number): msgspec.json.decode(item, type=_Field) for number, item in enumerate(held)}
        elif held is not None:
            found = msgspec.json.decode(held, type=dict[str, _Field])
    except msgspec.DecodeError:
        raise BadInput("Validation failed: Fields must have a name and a value") from None
    for name, value in given.items():
        if (match := _FIELD.fullmatch(name)) and isinstance(value, str):
            setattr(found.setdefault(match[1], _Field()), match[2], value)
    return [(field.name, field.value) for field in found.values()] if found or held is not None else None


async def lookup(request: Request) -> Response:
    instance = instance_of(request)
    name, _, host = request.query_params.get("acct", "").removeprefix("@").partition("@")
    host = "" if host.lower() in instance.identifiers.hosts else host.lower()
    actor = await instance.storage.read(actors.actor_named, name, host)
    if actor is None:
        raise NotFound("Record not found")
    return answer(await _account(request, actor.id))


async def show(request: Request) -> Response:
    return answer(await _account(request, path_id(request)))


async def _look(instance: Instance, viewer_id: int | None, actor_id: int) -> None:
    """Somebody of this server looks at what an actor published."""
    actor = await instance.storage.read(actors.actor_by_id, actor_id) if viewer_id is not None else None
    if actor is not None:
        await look_at_actor(instance, viewer_id, actor)


async def statuses(request: Request) -> Response:
    instance = instance_of(request)
    cut, by = page_of(request), await viewer(request)
    query = request.query_params
    if truth(query.get("pinned", "")):
        # One page: a client asks for these beside the others, and would show all of them twice.
        first = cut.max_id is None and cut.min_id is None and cut.since_id is None
        listed = await instance.storage.read(pins.pinned_works, path_id(request), by) if first else []
    else:
        listed = await instance.storage.read(
            works.works_of,
            path_id(request),
            by,
            max_id=cut.max_id,
            min_id=cut.min_id,
            since_id=cut.since_id,
            limit=cut.limit,
            only_media=truth(query.get("only_media", "")),
            exclude_replies=truth(query.get("exclude_replies", "")),
        )
    await use_pictures(instance, by, listed)
    await _look(instance, by, path_id(request))
    return paged(request, [entities.status(instance.identifiers, item) for item in listed])


@needs("read:follows")
async def relationships(request: Request) -> Response:
    given = await parameters(request)
    ids = [id_ for text in many(given, "id")[:80] if (id_ := parse_id(text)) is not None]
    held = await instance_of(request).storage.read(follows.relationships, account_in(request).actor_id, ids)
    return answer([entities.relationship(item) for item in held])


async def relationship(request: Request, target: int) -> Response:
    held = await instance_of(request).storage.read(follows.relationships, account_in(request).actor_id, [target])
    return answer(entities.relationship(held[0]))


@needs("write:follows")
async def follow(request: Request) -> Response:
    target = path_id(request)
    given = await parameters(request)
    await follow_actor.follow(instance_of(request), account_in(request), target)
    if "reblogs" in given:
        await follow_actor.show_boosts(instance_of(request), account_in(request), target, truth(one(given, "reblogs")))
    return await relationship(request, target)


@needs("read:follows")
async def requests(request: Request) -> Response:
    """Who asks to follow."""
    instance, cut = instance_of(request), page_of(request, 40)
    found = await instance.storage.read(follows.requests_to, account_in(request).actor_id, max_id=cut.max_id, limit=cut.limit)
    return paged(request, [entities.account(instance.identifiers, shown) for shown in found.items], found.ends)


async def _answered(request: Request, *, accept: bool) -> Response:
    follower_id = path_id(request)
    await answer_request(instance_of(request), account_in(request), follower_id, accept=accept)
    return await relationship(request, follower_id)


@needs("write:follows")
async def authorize(request: Request) -> Response:
    return await _answered(request, accept=True)


@needs("write:follows")
async def reject(request: Request) -> Response:
    return await _answered(request, accept=False)


@needs("write:follows")
async def unfollow(request: Request) -> Response:
    target = path_id(request)
    await follow_actor.unfollow(instance_of(request), account_in(request), target)
    return await relationship(request, target)


@needs("read:search")
async def search(request: Request) -> Response:
    """Handles and addresses; with `resolve` other servers are asked."""
    instance = instance_of(request)
    words, kind = request.query_params.get("q", "").strip()[:2_000], request.query_params.get("type")
    found: dict[str, list[object]] = {"accounts": [], "statuses": [], "hashtags": []}
    held = await grant(request)
    viewer_id = held.actor_id if held else None
    thing = await _known(instance, words)
    if thing is None and words and kind in (None, "accounts", "statuses") and truth(request.query_params.get("resolve", "")):
        try:
            thing = await resolve(instance, words, viewer_id)
        except FediartError as problem:
            log.info("search.nothing", reason=problem.message, detail=problem.detail)
    if isinstance(thing, Actor) and kind in (None, "accounts"):
        await look_at_actor(instance, viewer_id, thing)
        with contextlib.suppress(NotFound):
            found["accounts"].append(await _account(request, thing.id))
    if isinstance(thing, Work) and kind in (None, "statuses"):
        seen = await instance.storage.read(shown_rows.work_seen_by, thing.id, viewer_id)
        if seen is not None:
            await use_pictures(instance, viewer_id, [seen])
            found["statuses"].append(entities.status(instance.identifiers, seen))
    return answer(found)


async def _known(instance: Instance, words: str) -> Actor | Work | None:
    """What is here already."""
    if is_web_uri(words):
        local = instance.identifiers.parse_local(words)
        if local is not None and local.work_id is not None:
            return await instance.storage.read(works.work_by_id, local.work_id)
        work = await instance.storage.read(works.work_by_uri, words)
        return work if work is not None else await instance.storage.read(actors.actor_by_uri, words)
    name, _, host = words.removeprefix("@").partition("@")
    return await instance.storage.read(actors.actor_named, name, "" if host in instance.identifiers.hosts else host.lower())
