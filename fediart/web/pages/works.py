"""Works on pages: the home timeline, one work with its talk, and what one can do with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.actors import Account
from fediart.domain.images import ImageState
from fediart.domain.policy import Preset
from fediart.domain.reviews import Review, ReviewKind
from fediart.domain.terms import terms_of_work
from fediart.domain.works import MAX_TEXT, ReplyPolicy, ShownWork, Visibility, Work, WorkState
from fediart.errors import FediartError, Gone, NotFound
from fediart.ids import parse_id
from fediart.instance import Instance
from fediart.outbox.rights import copyright_notice
from fediart.storage import actors, deliveries, reactions, reviews, timelines
from fediart.storage import shown as shown_rows
from fediart.storage import works as rows
from fediart.storage.deliveries import Outcome
from fediart.studio import react
from fediart.studio.ask_moderator import ask_moderator, take_back
from fediart.studio.choose_rights import choose_for_work
from fediart.studio.edit_work import edit_work
from fediart.studio.look_further import look_at_work
from fediart.studio.narrow_work import narrow_work
from fediart.studio.pause_cloak import cancel_cloaks, pause_cloaks, resume_cloaks
from fediart.studio.publish_work import Draft, publish_work, start_draft
from fediart.studio.use_pictures import use_pictures
from fediart.studio.withdraw_work import withdraw_work
from fediart.web.activitypub import documents
from fediart.web.negotiate import wants_activity
from fediart.web.pages import copies
from fediart.web.pages.composer import quote_policy_in, waiting_in_words
from fediart.web.pages.declared import choices_of, declared_in
from fediart.web.pages.forms import back, go, instance_of, member, path_id, text, to_origin, trusted_form
from fediart.web.pages.rights_form import form_for_work, is_answered, said_licensing, said_reservation
from fediart.web.refusals import count_refusal
from fediart.web.render import render
from fediart.web.reservation import reserve_works
from fediart.web.security import signed_in
from fediart.web.structured import image_objects

PAGE = 20


async def home(request: Request) -> Response:
    account = await member(request)
    max_id = parse_id(request.query_params.get("max_id", ""))
    with_boosts = request.query_params.get("boosts") != "no"
    listed = await instance_of(request).storage.read(
        timelines.home_of, account.actor_id, max_id=max_id, limit=PAGE, boosts=with_boosts
    )
    await use_pictures(instance_of(request), account.actor_id, listed.items)
    reserve_works(request, listed.items)
    return await render(
        request, "home.html", works=listed.items, older=listed.older, with_boosts=with_boosts, is_first=max_id is None
    )


async def tagged(request: Request) -> Response:
    tag = request.path_params["tag"][:100].lower()
    max_id = parse_id(request.query_params.get("max_id", ""))
    account = await signed_in(request)
    viewer = account.actor_id if account else None
    listed = await instance_of(request).storage.read(
        rows.works_tagged, tag, viewer, max_id=max_id, limit=PAGE, local=viewer is None
    )
    await use_pictures(instance_of(request), viewer, listed)
    reserve_works(request, listed)
    return await render(request, "tag.html", tag=tag, works=listed, older=listed[-1].work.id if len(listed) == PAGE else None)


async def work(request: Request) -> Response:
    """`/@mira/123`: a local work's page, or its document for other servers."""
    name = request.path_params["name"]
    if wants_activity(request):
        request.path_params["username"] = name
        return await documents.work(request)
    instance = instance_of(request)
    work_id = path_id(request, "work_id")
    account = await signed_in(request)
    seen = await instance.storage.read(shown_rows.work_seen_by, work_id, account.actor_id if account else None)
    if seen is None or not seen.author.actor.is_local or seen.author.actor.username != name:
        ids = instance.identifiers
        artist = await instance.storage.read(actors.actor_named, name)
        if artist is not None and artist.gone:
            raise Gone(documents.LEFT)
        if await instance.storage.read(rows.has_tombstone, ids.work_uri(name, work_id), ids.actor_uri(name)):
            raise Gone("This work was deleted by its artist.")
        raise NotFound("There is nothing here, or it is not for everyone.")
    if seen.work.state == WorkState.DRAFT:
        return go(f"/compose/{work_id}")
    return await _work_page(request, seen, account, "")


async def anywhere(request: Request) -> Response:
    """`/works/123`: a work of any server. A local one has its own page; one of elsewhere is shown to who is signed in here."""
    account = await signed_in(request)
    seen = await instance_of(request).storage.read(
        shown_rows.work_seen_by, path_id(request), account.actor_id if account else None
    )
    if seen is None:
        raise NotFound("There is nothing here, or it is not for everyone.")
    actor = seen.author.actor
    if actor.is_local and seen.work.state != WorkState.DRAFT:
        return go(f"/@{actor.username}/{seen.work.id}")
    if seen.work.state == WorkState.DRAFT:
        return go(f"/compose/{seen.work.id}")
    if account is None:
        return to_origin(seen.work.uri, seen.work.url)
    return await _work_page(request, seen, account, "")


async def _work_page(request: Request, seen: ShownWork, account: Account | None, problem: str, status: int = 200) -> Response:
    viewer = account.actor_id if account else None
    above, below = await instance_of(request).storage.read(rows.thread_of, seen.work.id, viewer)
    await use_pictures(instance_of(request), viewer, [*above, seen, *below])
    reserve_works(request, [*above, *below], of=seen)
    is_coming = await look_at_work(instance_of(request), viewer, seen)
    is_mine = viewer == seen.work.actor_id
    is_waiting = seen.work.state == WorkState.WAITING
    is_out = is_mine and seen.work.state == WorkState.PUBLISHED
    offers = await copies.offers_for(instance_of(request), seen.images) if is_out else {}
    alternate = seen.work.uri if seen.work.visibility.is_open and seen.author.actor.is_local else ""
    headers = {"link": f'<{alternate}>; rel="alternate"; type="application/activity+json"'} if alternate else None
    return await render(
        request,
        "work.html",
        status,
        headers,
        work=seen,
        above=above,
        below=below,
        is_mine=is_mine,
        faces=await instance_of(request).storage.read(reactions.faces_of, seen.work.id, viewer),
        held=await _held(instance_of(request), seen) if is_mine else None,
        may_answer=viewer is not None and await instance_of(request).storage.read(rows.may_answer, seen.work, viewer),
        is_coming=is_coming,
        undelivered=await _undelivered(request, seen) if is_out else [],
        now=instance_of(request).clock(),
        waiting=await waiting_in_words(request, seen) if is_waiting else "",
        paused=is_waiting and any(item.image.state == ImageState.PAUSED for item in seen.images),
        offers=offers,
        alternate=alternate,
        terms=terms_of_work(seen.work, seen.author.choices, instance_of(request).policy),
        rights_notice=_notice(request, seen),
        structured=image_objects(instance_of(request), seen),
        problem=problem,
    )


def _notice(request: Request, seen: ShownWork) -> str:
    """© 2026 Mira; '' where there is none, or none of ours to give."""
    author = seen.author.actor
    terms = terms_of_work(seen.work, seen.author.choices, instance_of(request).policy)
    return copyright_notice(author, terms, seen.work.published_at) if author.is_local else ""


async def _held(instance: Instance, seen: ShownWork) -> Review | None:
    """What waits for a moderator, of a work that is held or whose label its artist asks about."""
    found = await instance.storage.read(reviews.open_on_work, seen.work.id, ReviewKind.HELD, ReviewKind.APPEAL)
    return found[-1] if found else None


UNDELIVERED = 20


async def _undelivered(request: Request, seen: ShownWork) -> list[Outcome]:
    """Servers that do not have it yet, or did not take it: a bounded list, for its artist."""
    planned, delivered, _ = seen.deliveries or (0, 0, 0)
    if delivered >= planned:
        return []
    storage = instance_of(request).storage
    return (await storage.read(deliveries.outcomes, work_id=seen.work.id, undone=True, limit=UNDELIVERED))[:UNDELIVERED]


_VERBS: dict[str, Callable[[Instance, Account, int], Awaitable[None]]] = {
    "like": react.like,
    "unlike": react.unlike,
    "boost": react.boost,
    "unboost": react.unboost,
    "pause": pause_cloaks,
    "go-on": resume_cloaks,
}


async def act(request: Request) -> Response:
    """Like, boost, reply, copy, delete: forms on a work."""
    account, work_id, verb = await member(request), path_id(request), request.path_params["verb"]
    instance = instance_of(request)
    async with trusted_form(request) as form:
        if verb in _VERBS:
            await _VERBS[verb](instance, account, work_id)
            return back(request, form, f"/works/{work_id}")
        if verb == "cancel":
            await cancel_cloaks(instance, account, work_id)
            return go(f"/compose/{work_id}")
        if verb == "take-back":
            await take_back(instance, account, work_id)
            return go(f"/compose/{work_id}")
        if verb == "ask":
            await ask_moderator(instance, account, work_id, text(form, "appeal"))
            return go("/decisions")
        if verb == "delete":
            await withdraw_work(instance, account, work_id)
            actor = await instance.storage.read(actors.actor_by_id, account.actor_id)
            return go(f"/@{actor.username}" if actor else "/home")
        if verb == "copy":
            return await copies.ask(request, account, work_id, form)
        if verb == "reply":
            return await _reply(request, account, work_id, text(form, "text"), text(form, "visibility"))
    raise NotFound("There is nothing here.")


async def _reply(request: Request, account: Account, work_id: int, words: str, chosen: str) -> Response:
    """Published at once; when that fails it is a draft, with its words."""
    instance = instance_of(request)
    visibility = Visibility(chosen) if chosen in tuple(Visibility) else Visibility.PUBLIC
    draft_id = await start_draft(instance, account, Draft(text=words, visibility=visibility, in_reply_to_id=work_id))
    try:
        await publish_work(instance, account, draft_id)
    except FediartError as problem:
        count_refusal(request, problem)
        return go(f"/compose/{draft_id}")
    return go(f"/works/{work_id}#talk")


async def edit(request: Request) -> Response:
    account, work_id = await member(request), path_id(request)
    instance = instance_of(request)
    seen = await instance.storage.read(shown_rows.work_seen_by, work_id, account.actor_id)
    if seen is None or seen.work.actor_id != account.actor_id or seen.work.state != WorkState.PUBLISHED:
        raise NotFound("There is nothing here to edit.")
    held = _as_it_is(seen.work)
    if request.method != "POST":
        return await _edit_page(request, seen, held)
    async with trusted_form(request) as form:
        words = text(form, "text").replace("\r\n", "\n")
        said = declared_in(text(form, "declaration")) if "declaration" in form else None
        declaration = seen.work.declaration if said is None else said
        replies = text(form, "replies") if text(form, "replies") in tuple(ReplyPolicy) else ""
        sensitive = bool(text(form, "sensitive"))
        wished = text(form, "visibility")
        audience = Visibility(wished) if wished in tuple(Visibility) else seen.work.visibility
        draft = Draft(
            words,
            text(form, "warning"),
            sensitive,
            audience,
            declaration=declaration,
            reply_policy=replies,
            quote_policy=quote_policy_in(form),
        )
        chosen = (said_reservation(form), said_licensing(form)) if is_answered(form) else None
    try:
        # First: what is changed besides may be for the smaller circle only.
        await narrow_work(instance, account, work_id, audience)
        if chosen is not None:
            await choose_for_work(instance, account, work_id, *chosen)
        if replace(draft, reply_policy=replies or held.reply_policy) != replace(held, visibility=audience):
            await edit_work(instance, account, work_id, draft)
    except FediartError as problem:
        count_refusal(request, problem)
        return await _edit_page(request, seen, draft, problem.message, problem.status)
    return go(f"/works/{work_id}")


def _as_it_is(work: Work) -> Draft:
    return Draft(
        work.source,
        work.warning,
        work.sensitive,
        work.visibility,
        declaration=work.declaration,
        reply_policy=work.reply_policy,
        quote_policy=work.quote_policy,
    )


OFFERED = (Visibility.PUBLIC, Visibility.UNLISTED, Visibility.FOLLOWERS)


async def _edit_page(request: Request, seen: ShownWork, draft: Draft, problem: str = "", status: int = 200) -> Response:
    policy = instance_of(request).policy
    return await render(
        request,
        "edit.html",
        status,
        work=seen,
        draft=draft,
        problem=problem,
        max_text=MAX_TEXT,
        audiences=[choice for choice in OFFERED if choice.is_within(seen.work.visibility)],
        choices=choices_of(policy),
        is_human_art=policy.preset == Preset.HUMAN_ART,
        rights_form=form_for_work(seen.work, seen.author.choices, policy),
    )
