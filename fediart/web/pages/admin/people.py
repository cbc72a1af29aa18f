"""Who is what here, and what moderators decide on people here and elsewhere."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.actors import Account, Role
from fediart.domain.moderation import Standing
from fediart.errors import BadInput, FediartError, NotAllowed
from fediart.ids import parse_id
from fediart.office.give_quota import give_quota
from fediart.office.judge_actor import give_role, judge_actor
from fediart.storage import accounts, actors, audit, host_rules
from fediart.storage.space import space_of
from fediart.studio.follow_actor import find_actor
from fediart.web.pages.admin.door import moderator
from fediart.web.pages.forms import go, instance_of, text, trusted_form
from fediart.web.refusals import count_refusal
from fediart.web.render import render

PAGE = 50
_STANDINGS = {"suspend": Standing.SUSPENDED, "limit": Standing.LIMITED, "release": Standing.GOOD}


async def people(request: Request) -> Response:
    account = await moderator(request)
    if request.method != "POST":
        return await _page(request, account, "", name=request.query_params.get("name", "")[:2_000])
    async with trusted_form(request) as form:
        action, name, reason = text(form, "action"), text(form, "name")[:2_000], text(form, "reason")
        role, actor_id = text(form, "role"), parse_id(text(form, "actor"))
        quota = text(form, "quota").strip()
    instance = instance_of(request)
    try:
        if action == "role":
            if role not in tuple(Role):
                raise BadInput("There is no such role.")
            await give_role(instance, name, Role(role), by=account)
        elif action == "quota":
            if not account.role.may_administer:
                raise NotAllowed("Only an admin says how much room somebody has.")
            await give_quota(instance, name, _megabytes(quota), by=account)
        elif action in _STANDINGS:
            if actor_id is None:
                actor_id = (await find_actor(instance, name)).id
            await judge_actor(instance, actor_id, _STANDINGS[action], by=account, reason=reason)
        else:
            raise BadInput("There is nothing to do.")
    except FediartError as problem:
        count_refusal(request, problem)
        return await _page(request, account, problem.message, problem.status, name=name, reason=reason)
    return go("/admin/people")


def _megabytes(typed: str) -> int | None:
    if typed and not (typed.isdecimal() and len(typed) <= 10):
        raise BadInput("The room for pictures is a number of megabytes; leave it empty for as much as everybody has.")
    return int(typed) if typed else None


async def _page(
    request: Request, account: Account, problem: str, status: int = 200, *, name: str = "", reason: str = ""
) -> Response:
    storage = instance_of(request).storage
    after = parse_id(request.query_params.get("after", ""))
    listed = await storage.read(accounts.listed_accounts, after=after, limit=PAGE)
    judged = await storage.read(host_rules.judged_actors)
    shown = await storage.read(actors.shown_actors, [*judged, *(held.actor_id for held, _ in listed)])
    return await render(
        request,
        "admin/people.html",
        status,
        accounts=[(held, shown[held.actor_id]) for held, _ in listed if held.actor_id in shown],
        older=listed[-1][0].id if len(listed) == PAGE else None,
        judged=[shown[id_] for id_ in judged if id_ in shown],
        roles=list(Role),
        is_owner=account.role == Role.OWNER,
        taken={held.id: await storage.read(space_of, held.actor_id) for held, _ in listed},
        usual_mb=instance_of(request).config.accounts.quota_mb,
        problem=problem,
        name=name,
        reason=reason,
    )


DEEDS = {
    "admit": "let in",
    "block host": "blocked the server",
    "delete": "an account was deleted:",
    "import hosts": "took over a list of servers:",
    "invite": "made",
    "limit": "limited",
    "limit host": "limited the server",
    "look": "opened, though it is not for everybody,",
    "quota": "set the room for pictures of",
    "reset link": "a link for a new password was made for",
    "review-ask": "asked the artist about",
    "review-clear": "cleared",
    "review-label": "labelled the work of",
    "review-remove": "removed the work of",
    "revoke invite": "took back",
    "role": "changed the role of",
    "sign-ups": "set sign-ups to",
    "suspend": "suspended",
    "take-back": "took back",
    "turn away": "turned away",
    "unblock host": "lifted the rule for",
    "unsuspend": "lifted what was decided on",
}
"""What is written down, in words that go on with the subject."""

_REVIEW = re.compile(r"\breview ([0-9]{1,20})\b")


async def log(request: Request) -> Response:
    """Who did what."""
    await moderator(request)
    max_id = parse_id(request.query_params.get("max_id", ""))
    deeds = await instance_of(request).storage.read(audit.deeds, max_id=max_id, limit=PAGE)
    reviews = {deed.id: found[1] for deed in deeds if (found := _REVIEW.search(deed.subject))}
    older = deeds[-1].id if len(deeds) == PAGE else None
    return await render(request, "admin/audit.html", deeds=deeds, words=DEEDS, reviews=reviews, older=older)
