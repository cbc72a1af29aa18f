"""The policy in plain words, made from its keys; what our labels mean; what an artist allows and reserves."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fediart.domain.declarations import LABELS
from fediart.domain.licences import Licence
from fediart.domain.policy import AiPolicy, LocalAction, Preset, RemoteAction
from fediart.domain.terms import terms_of_artist
from fediart.errors import Gone, NotFound
from fediart.storage import actors
from fediart.storage.blocks import hides_from
from fediart.web.activitypub.documents import LEFT
from fediart.web.pages.forms import instance_of
from fediart.web.render import render
from fediart.web.reservation import reserve_works
from fediart.web.security import signed_in

IN_SHORT = {
    Preset.HUMAN_ART: "This server is for art made by people.",
    Preset.LABEL_ONLY: "AI-made pictures are welcome here, and are labelled.",
    Preset.OPEN: "This server takes pictures however they were made.",
}

_UPLOAD = {
    LocalAction.ALLOW: "nothing is done",
    LocalAction.LABEL: "it is published with a label that says so",
    LocalAction.ASK: "its artist is asked how it was made before it goes out",
    LocalAction.HOLD: "it waits until a moderator has looked at it",
    LocalAction.REJECT: "it is not published",
}

_POST = {
    RemoteAction.ALLOW: "nothing is done",
    RemoteAction.LABEL: "it is shown with a label",
    RemoteAction.COLLAPSE: "its pictures are behind a click",
    RemoteAction.HIDE_PUBLIC: "it is in no public list",
    RemoteAction.FILTER: "only who follows its author is shown it",
    RemoteAction.REJECT: "it is not taken",
}


def of_uploads(policy: AiPolicy) -> list[tuple[str, str]]:
    """(what an upload is, what is done with it)."""
    local = policy.local
    rows = [
        ("Its artist says that it was made with AI, or its file does", local.declared),
        ("Its file carries the settings of an image generator", local.generator),
        ("Its file says that parts may be AI, and its artist has not said how it was made", local.assisted),
        ("Its file has a trace that many hand-made pictures have too", local.hint),
    ]
    said = [(what, _UPLOAD[action]) for what, action in rows]
    if policy.local.require_origin_statement:
        said.append(("Its artist has not said how it was made", _UPLOAD[LocalAction.ASK]))
    return said


def of_posts(policy: AiPolicy) -> list[tuple[str, str]]:
    """(what a post of another server is, what is done with it)."""
    remote = policy.remote
    rows = [
        ("Its author says that it was made with AI", remote.self_label),
        ("The file of its picture says so", remote.declared),
    ]
    if remote.hashtags:
        some = ", ".join(f"#{tag}" for tag in remote.hashtags[:3])
        rows.append((f"It carries a hashtag that the admin has listed, like {some}", remote.hashtag))
    return [(what, _POST[action]) for what, action in rows]


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
