"""The policy in plain words, made from its keys; what our labels mean; what an artist allows and reserves."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fediart.domain.declarations import LABELS
from fediart.domain.licences import Licence
from fediart.domain.policy_words import IN_SHORT, of_posts, of_uploads
from fediart.domain.terms import terms_of_artist
from fediart.errors import Gone, NotFound
from fediart.ids import parse_id
from fediart.storage import actors, policies
from fediart.storage.blocks import hides_from
from fediart.studio.read_announcement import read_announcement
from fediart.web.activitypub.documents import LEFT
from fediart.web.pages.forms import back, instance_of, member, path_id, trusted_form
from fediart.web.render import render
from fediart.web.reservation import reserve_works
from fediart.web.security import signed_in


async def statement(request: Request) -> Response:
    instance = instance_of(request)
    policy = instance.policy
    return await render(
        request,
        "ai_policy.html",
        policy=policy,
        in_short=IN_SHORT[policy.preset],
        uploads=of_uploads(policy),
        posts=of_posts(policy),
        labels=LABELS,
    )


async def revision(request: Request) -> Response:
    """What a revision changed: of the one before, or of the one that is named by `from`."""
    instance = instance_of(request)
    number, since = parse_id(request.path_params["number"]), parse_id(request.query_params.get("from", ""))
    change = await instance.storage.read(policies.change_by, number, since) if number is not None else None
    if change is None:
        raise NotFound("The AI-art policy has no such revision.")
    earlier = await instance.storage.read(policies.changes_before, change.number, limit=EARLIER)
    return await render(
        request, "ai_policy_revision.html", change=change, earlier=earlier, holds=instance.policy.number, since=since
    )


EARLIER = 20
"""So many revisions of before are shown under one."""


async def dismiss(request: Request) -> Response:
    """Somebody knows what changed up to this revision."""
    account, number = await member(request), path_id(request, "number")
    async with trusted_form(request) as form:
        await read_announcement(instance_of(request), account, number)
        return back(request, form, "/home")


async def label(request: Request) -> Response:
    """What one of our labels means, and what it does not."""
    name = request.path_params["name"]
    if name not in LABELS:
        raise NotFound("There is no such label here.")
    return await render(request, "label.html", name=name, words=LABELS[name])


async def rights(request: Request) -> Response:
    """What an artist of this server allows and reserves, and how to ask."""
    instance = instance_of(request)
    name = request.path_params["name"]
    actor = await instance.storage.read(actors.actor_named, name)
    if actor is not None and actor.gone:
        raise Gone(LEFT)
    if actor is None or actor.kind != "Person":
        raise NotFound("Nobody here has this name.")
    account = await signed_in(request)
    if await instance.storage.read(hides_from, actor, account.actor_id if account is not None else None):
        raise NotFound("Nobody here has this name.")
    if actor.username != name:
        return RedirectResponse(f"/@{actor.username}/rights", 301)
    shown = await instance.storage.read(actors.shown_actor, actor.id)
    assert shown is not None  # it was there a moment ago
    reserve_works(request, [], of=shown)
    terms = terms_of_artist(shown.choices, instance.policy)
    return await render(
        request,
        "rights.html",
        person=shown,
        terms=terms,
        is_custom=terms.licensing.licence == Licence.CUSTOM,
        policy=instance.policy,
    )
