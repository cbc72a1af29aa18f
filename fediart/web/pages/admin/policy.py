"""The AI-art policy: three cards, a look at what a change would do, and the revisions there were."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.policy import AiPolicy, LocalAction, Preset, ProofOfWork, RemoteAction, RobotsList
from fediart.domain.policy_keys import changed, differences, keys_of, preset_named
from fediart.domain.policy_words import change_between
from fediart.domain.reservations import Answer
from fediart.errors import BadInput
from fediart.office.adopt_policy import adopt_policy
from fediart.office.dry_run import count_changes, in_words
from fediart.storage import policies, verdicts
from fediart.web.pages.admin.door import admin
from fediart.web.pages.forms import go, instance_of, text, trusted_form
from fediart.web.refusals import count_refusal
from fediart.web.render import render

TICKS = (
    "reserve.artist_may_change",
    "reserve.embed_xmp",
    "reserve.c2pa",
    "reserve.rsl",
    "reserve.tdmrep",
    "enforce.block_user_agents",
    "local.require_origin_statement",
    "remote.followed_override",
    "review.second_opinion",
)
LISTS = ("enforce.extra_allowed_agents", "enforce.extra_blocked_agents", "remote.hashtags")
TABLES = ("remote.domains", "remote.actors")

MACHINES: dict[str, tuple[Answer, Answer, Answer, bool]] = {
    "search": (Answer.DENY, Answer.DENY, Answer.ALLOW, False),
    "nothing": (Answer.DENY, Answer.DENY, Answer.DENY, False),
    "ask": (Answer.DENY, Answer.DENY, Answer.ALLOW, True),
    "everything": (Answer.ALLOW, Answer.ALLOW, Answer.ALLOW, False),
}
"""What the first card offers: training, answers, search, and whether artists are asked."""


def machines_of(policy: AiPolicy) -> str:
    """Which of MACHINES it is; '' where the keys say something else."""
    reserve = policy.reserve
    held = (reserve.training, reserve.ai_input, reserve.search, reserve.ask_artists)
    return next((name for name, answers in MACHINES.items() if answers == held), "")


async def policy(request: Request) -> Response:
    account = await admin(request)
    instance = instance_of(request)
    if request.method != "POST":
        return await _page(request, instance.policy, instance.policy, done="done" in request.query_params)
    async with trusted_form(request) as form:
        current = instance.policy
        try:
            tried = _asked_for(current, form)
        except BadInput as problem:
            count_refusal(request, problem)
            return await _page(request, current, current, problem=problem.message, typed=form, status=422)
        if text(form, "number") != str(current.number):
            late = f"Somebody changed the policy while this page was open: it is revision {current.number} now. Look again."
            return await _page(request, current, tried, problem=late, status=409)
        if text(form, "act") == "adopt" and differences(current, tried):
            await adopt_policy(instance, tried, account.id)
            return go("/admin/policy?done=1")
    return await _page(request, current, tried, looked=True)


def _asked_for(current: AiPolicy, form: FormData) -> AiPolicy:
    """What the form says. Its preset sets its rows; a single row counts where it was changed by hand. Raises BadInput."""
    asked = preset_named(current, text(form, "preset")) if text(form, "preset") != current.preset else current
    machines = text(form, "machines")
    if machines in MACHINES and machines != machines_of(current):
        training, ai_input, search, asks = MACHINES[machines]
        reserve = replace(asked.reserve, training=training, ai_input=ai_input, search=search, ask_artists=asks)
        asked = replace(asked, reserve=reserve)
    before, changes = keys_of(current), dict[str, Any]()
    for key, held in before.items():
        if key in TICKS:
            value: Any = bool(text(form, key))
        elif key not in form:
            continue
        elif key in LISTS:
            value = [line.strip() for line in text(form, key).splitlines() if line.strip()]
        elif key in TABLES:
            value = _table(key, text(form, key))
        else:
            value = text(form, key).strip()
        if value != held and str(value) != str(held):
            changes[key] = value
    return changed(asked, changes)


def _table(key: str, typed: str) -> dict[str, str]:
    """Lines of `name action`. Raises BadInput."""
    found: dict[str, str] = {}
    for line in filter(None, (line.strip() for line in typed.splitlines())):
        name, _, action = line.rpartition(" ")
        if not name:
            raise BadInput(f"{key}: each line is a name, a space and an action, like “ai.example filter”, not “{line[:80]}”.")
        found[name.strip().removesuffix(":").strip()] = action
    return found


async def _page(
    request: Request,
    current: AiPolicy,
    tried: AiPolicy,
    *,
    looked: bool = False,
    done: bool = False,
    problem: str = "",
    typed: FormData | None = None,
    status: int = 200,
) -> Response:
    instance = instance_of(request)
    revisions = await instance.storage.read(policies.policies_by_number, limit=20)
    told = [
        (later, differences(earlier, later)) for later, earlier in zip(revisions, [*revisions[1:], revisions[-1]], strict=True)
    ]
    changes = differences(current, tried) if looked else []
    keys = keys_of(tried)
    shown = {key: "\n".join(keys[key]) for key in LISTS}
    shown |= {key: "\n".join(f"{name} {action}" for name, action in keys[key].items()) for key in TABLES}
    if typed is not None:
        shown = {key: text(typed, key) for key in shown}
    return await render(
        request,
        "admin/policy.html",
        status,
        current=current,
        tried=tried,
        keys=keys,
        shown=shown,
        machines=machines_of(tried),
        presets=list(Preset),
        local_actions=list(LocalAction),
        remote_actions=list(RemoteAction),
        robots_lists=list(RobotsList),
        proofs=list(ProofOfWork),
        changes=changes,
        told=change_between(current, tried).lines,
        looked=looked,
        forecast=in_words(await count_changes(instance, tried)) if changes else [],
        progress=await instance.storage.read(verdicts.rejudge_progress),
        traffic=instance.traffic.last_day()[:50],
        since=instance.traffic.since,
        done=done,
        problem=problem,
        revisions=told,
    )
