"""Works and their pictures, as the client API calls them: statuses and media."""

from __future__ import annotations

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.declarations import Declaration
from fediart.domain.images import ImageState, Purpose, ShownImage
from fediart.domain.moderation import Place
from fediart.domain.notifications import NotificationKind
from fediart.domain.works import QuotePolicy, ShownWork, WorkState
from fediart.errors import BadInput, NotFound
from fediart.ids import parse_id
from fediart.instance import token_hash
from fediart.storage import images, notifications, reactions, timelines, works
from fediart.storage import quotes as quote_rows
from fediart.storage import shown as shown_rows
from fediart.studio import react
from fediart.studio.add_image import add_image
from fediart.studio.allow_quotes import allow_quotes_of, take_back
from fediart.studio.arrange_images import describe_image
from fediart.studio.attach_images import attach_images, detach_images
from fediart.studio.edit_work import edit_work
from fediart.studio.estimate_cloak import time_left
from fediart.studio.look_further import look_at_work
from fediart.studio.publish_work import Draft, own_work, publish_work, start_draft
from fediart.studio.use_pictures import use_pictures
from fediart.studio.withdraw_work import withdraw_work
from fediart.web.api import entities
from fediart.web.api.accounts import path_id
from fediart.web.api.answers import answer, page_of, paged
from fediart.web.api.auth import account_in, instance_of, needs, viewer
from fediart.web.api.repeats import Repeats
from fediart.web.uploads import many, on_disk, one, parameters, reading_form, truth


def _focus(text: str) -> tuple[float, float] | None:
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        return None
    return (x, y) if -1 <= x <= 1 and -1 <= y <= 1 else None


async def _media(request: Request, shown: ShownImage | None) -> Response:
    """202 or 206 while it is cloaked, 200 with an address once it is ready, 422 when it cannot be had."""
    if shown is None:
        raise NotFound("Record not found")
    if shown.image.state == ImageState.FAILED:
        raise BadInput(shown.image.problem or "This picture cannot be used.")
    instance = instance_of(request)
    waiting = 206 if request.method in ("GET", "HEAD") else 202
    status = 200 if shown.image.state == ImageState.READY else waiting
    left = await time_left(instance, [shown.image.id]) if status != 200 else None
    return answer({**entities.attachment(instance.identifiers, shown), "fediart": entities.on_its_way([shown], left)}, status)


async def _own_image(request: Request, image_id: int) -> ShownImage | None:
    return await instance_of(request).storage.read(images.image_of, image_id, account_in(request).actor_id)


@needs("write:media")
async def upload(request: Request) -> Response:
    instance, account = instance_of(request), account_in(request)
    async with reading_form(request, files=2) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise BadInput("Validation failed: File can't be blank")
        alt, focus = str(form.get("description") or ""), _focus(str(form.get("focus") or ""))
        async with on_disk(instance, file) as path:
            image_id = await add_image(instance, account, path, file.filename or "", purpose=Purpose.WORK, alt=alt)
    if focus is not None:
        await describe_image(instance, account, image_id, focal=focus)
    return await _media(request, await _own_image(request, image_id))


@needs("write:media")
async def media(request: Request) -> Response:
    return await _media(request, await _own_image(request, path_id(request)))


@needs("write:media")
async def describe(request: Request) -> Response:
    given = await parameters(request)
    image_id = path_id(request)
    alt = one(given, "description") if "description" in given else None
    await describe_image(instance_of(request), account_in(request), image_id, alt=alt, focal=_focus(one(given, "focus")))
    return await _media(request, await _own_image(request, image_id))


HELD_FIRST = "A moderator looks at this work first. Until then nobody else sees it; this server's page of it says more."


async def _status(request: Request, work_id: int, by: int | None) -> Response:
    instance = instance_of(request)
    seen: ShownWork | None = await instance.storage.read(shown_rows.work_seen_by, work_id, by)
    if seen is None:
        raise NotFound("Record not found")
    await use_pictures(instance, by, [seen])
    shape = entities.status(instance.identifiers, seen)
    if seen.work.state == WorkState.WAITING or seen.work.problem:
        undone = [item.image.id for item in seen.images if item.image.state != ImageState.READY]
        on_its_way = entities.on_its_way(seen.images, await time_left(instance, undone), seen.work.problem)
        shape["fediart"] = shape["fediart"] | on_its_way
    elif seen.work.state == WorkState.HELD:
        shape["fediart"] = shape["fediart"] | {"state": seen.work.state, "reason": HELD_FIRST}
    return answer(shape)


def _declared(given: dict[str, str | list[str]]) -> Declaration | None:
    """How it was made; None: nothing was said of that. Raises BadInput."""
    said = one(given, "declaration")
    if "declaration" in given and said not in tuple(Declaration):
        raise BadInput(f"Validation failed: Declaration is not one of {', '.join(choice for choice in Declaration if choice)}")
    return Declaration(said) if "declaration" in given else None


def _quote_policy(given: dict[str, str | list[str]]) -> QuotePolicy | None:
    """Who may quote it; None: nothing was said of that. Raises BadInput."""
    if "quote_approval_policy" not in given:
        return None
    policy = entities.QUOTES_FROM_API.get(one(given, "quote_approval_policy"))
    if policy is None:
        raise BadInput("Validation failed: Quote approval policy is not included in the list")
    return policy


@needs("write:statuses")
async def post(request: Request) -> Response:
    """Answered at once; what waits for its cloak is published by a job, under the id of this answer.

    So is what a moderator looks at first, with `fediart.state` held: a client shows it as posted, and nobody else sees it
    before. What the policy refuses, or asks about, is answered 422 with the reason, and its pictures can be sent again.
    `declaration` is not of Mastodon's API: how it was made. With an Idempotency-Key, asking again gives the same work.
    """
    instance, account = instance_of(request), account_in(request)
    given = await parameters(request)
    visibility = entities.FROM_API.get(one(given, "visibility", "public"))
    if visibility is None:
        raise BadInput("Validation failed: Visibility is not included in the list")
    draft = Draft(
        text=one(given, "status"),
        warning=one(given, "spoiler_text"),
        sensitive=truth(one(given, "sensitive")),
        visibility=visibility,
        in_reply_to_id=parse_id(one(given, "in_reply_to_id")),
        language=one(given, "language")[:16] or None,
        declaration=_declared(given),
        quote_policy=_quote_policy(given),
    )
    chosen = [id_ for text in many(given, "media_ids") if (id_ := parse_id(text)) is not None]

    async def publish() -> int:
        draft_id = await start_draft(instance, account, draft)
        try:
            await attach_images(instance, account, draft_id, chosen)
            return await publish_work(instance, account, draft_id)
        except BaseException:
            await detach_images(instance, account, draft_id)
            await withdraw_work(instance, account, draft_id)
            raise

    key = request.headers.get("idempotency-key", "")[:500]
    if key:
        repeats: Repeats = request.app.state.repeats
        token = token_hash(request.headers["authorization"])
        work_id = await repeats.once(token, key, instance.clock(), publish)
    else:
        work_id = await publish()
    return await _status(request, work_id, account.actor_id)


async def show(request: Request) -> Response:
    return await _status(request, path_id(request), await viewer(request))


@needs("write:statuses")
async def remove(request: Request) -> Response:
    instance, account = instance_of(request), account_in(request)
    work_id = path_id(request)
    seen = await instance.storage.read(shown_rows.work_seen_by, work_id, account.actor_id)
    if seen is None:
        raise NotFound("Record not found")
    shape = {**entities.status(instance.identifiers, seen), "text": seen.work.source}
    await withdraw_work(instance, account, work_id)
    return answer(shape)


@needs("write:statuses")
async def edit(request: Request) -> Response:
    given = await parameters(request)
    draft = Draft(
        text=one(given, "status"),
        warning=one(given, "spoiler_text"),
        sensitive=truth(one(given, "sensitive")),
        declaration=_declared(given),
        quote_policy=_quote_policy(given),
    )
    work_id = path_id(request)
    await edit_work(instance_of(request), account_in(request), work_id, draft)
    return await _status(request, work_id, account_in(request).actor_id)


@needs("write:statuses")
async def interaction_policy(request: Request) -> Response:
    """Who may quote a work of one's own from now on."""
    instance, account, work_id = instance_of(request), account_in(request), path_id(request)
    await instance.storage.read(own_work, account, work_id)
    policy = _quote_policy(await parameters(request))
    if policy is not None:
        await allow_quotes_of(instance, account, work_id, policy)
    return await _status(request, work_id, account.actor_id)


async def quotes(request: Request) -> Response:
    """The posts that quote a work, those of them that are here."""
    instance, cut = instance_of(request), page_of(request)
    by, work_id = await viewer(request), path_id(request)
    if not await instance.storage.read(works.may_see, work_id, by):
        raise NotFound("Record not found")
    ids = await instance.storage.read(quote_rows.known_quotes, work_id, max_id=cut.max_id, limit=cut.limit)
    listed = await instance.storage.read(shown_rows.works_shown, ids, by, place=Place.THREAD)
    return paged(request, [entities.status(instance.identifiers, item) for item in listed])


@needs("write:statuses")
async def revoke_quote(request: Request) -> Response:
    """Answered with the post that quotes."""
    instance, account = instance_of(request), account_in(request)
    quoting = await instance.storage.read(works.work_by_id, path_id(request, "quoting_id"))
    if quoting is None:
        raise NotFound("Record not found")
    await take_back(instance, account, path_id(request), quoting.uri)
    return await _status(request, quoting.id, account.actor_id)


async def context(request: Request) -> Response:
    instance = instance_of(request)
    by, work_id = await viewer(request), path_id(request)
    if not await instance.storage.read(works.may_see, work_id, by):
        raise NotFound("Record not found")
    seen = await instance.storage.read(shown_rows.work_seen_by, work_id, by) if by is not None else None
    if seen is not None:
        await look_at_work(instance, by, seen)
    above, below = await instance.storage.read(works.thread_of, work_id, by)
    await use_pictures(instance, by, [*above, *below])
    ids = instance.identifiers
    return answer(
        {"ancestors": [entities.status(ids, w) for w in above], "descendants": [entities.status(ids, w) for w in below]}
    )


@needs("write:favourites")
async def favourite(request: Request) -> Response:
    await react.like(instance_of(request), account_in(request), path_id(request))
    return await _status(request, path_id(request), account_in(request).actor_id)


@needs("write:favourites")
async def unfavourite(request: Request) -> Response:
    await react.unlike(instance_of(request), account_in(request), path_id(request))
    return await _status(request, path_id(request), account_in(request).actor_id)


@needs("write:statuses")
async def reblog(request: Request) -> Response:
    """Answered with the boost, which wraps the work."""
    instance, account, work_id = instance_of(request), account_in(request), path_id(request)
    await react.boost(instance, account, work_id)
    boost = await instance.storage.read(reactions.reaction_by, "boost", account.actor_id, work_id)
    entry = (boost.id, work_id, account.actor_id) if boost is not None else (work_id, work_id, None)
    listed = await instance.storage.read(shown_rows.works_shown, [], account.actor_id, [entry], by_link=True)
    if not listed:
        raise NotFound("Record not found")
    return answer(entities.status(instance.identifiers, listed[0]))


@needs("write:statuses")
async def unreblog(request: Request) -> Response:
    await react.unboost(instance_of(request), account_in(request), path_id(request))
    return await _status(request, path_id(request), account_in(request).actor_id)


@needs("read:statuses")
async def home(request: Request) -> Response:
    instance, cut = instance_of(request), page_of(request)
    listed = await instance.storage.read(
        timelines.home_of,
        account_in(request).actor_id,
        max_id=cut.max_id,
        min_id=cut.min_id,
        since_id=cut.since_id,
        limit=cut.limit,
    )
    await use_pictures(instance, account_in(request).actor_id, listed.items)
    return paged(request, [entities.status(instance.identifiers, item) for item in listed.items], listed.ends)


async def public(request: Request) -> Response:
    instance, cut = instance_of(request), page_of(request)
    listed = await instance.storage.read(
        works.public_works,
        await viewer(request),
        max_id=cut.max_id,
        min_id=cut.min_id,
        since_id=cut.since_id,
        limit=cut.limit,
        local=True,
        only_media=truth(request.query_params.get("only_media", "")),
    )
    return paged(request, [entities.status(instance.identifiers, item) for item in listed])


async def tagged(request: Request) -> Response:
    """To strangers only what was made here, as on the page."""
    instance, cut, by = instance_of(request), page_of(request), await viewer(request)
    tag = request.path_params["tag"][:100]
    listed = await instance.storage.read(
        works.works_tagged,
        tag,
        by,
        max_id=cut.max_id,
        min_id=cut.min_id,
        since_id=cut.since_id,
        limit=cut.limit,
        local=by is None or truth(request.query_params.get("local", "")),
    )
    await use_pictures(instance, by, listed)
    return paged(request, [entities.status(instance.identifiers, item) for item in listed])


@needs("read:notifications")
async def notices(request: Request) -> Response:
    instance, cut = instance_of(request), page_of(request)
    listed = await instance.storage.read(
        notifications.notifications_of,
        account_in(request).actor_id,
        max_id=cut.max_id,
        limit=cut.limit,
        # Mastodon's API has no type for these; a change of the policy is an announcement there.
        without=(NotificationKind.DECISION, NotificationKind.POLICY, NotificationKind.APPLICANT),
    )
    return paged(request, [entities.notification(instance.identifiers, item) for item in listed.items], listed.ends)
