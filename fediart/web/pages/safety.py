"""Keeping people away, on pages: block, mute and report somebody, and the settings that list whom and what one keeps away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.actors import Account
from fediart.domain.moderation import MAX_COMMENT, FilterAction, Place, ReportCategory
from fediart.domain.works import ReplyPolicy
from fediart.errors import FediartError, NotFound
from fediart.ids import parse_id
from fediart.instance import Instance
from fediart.storage import accounts, actors, blocks, filters, host_rules, mutes
from fediart.storage import shown as shown_rows
from fediart.storage.blocks import hides_from
from fediart.studio import block_actor
from fediart.studio.keep_filter import drop_filter, keep_filter
from fediart.studio.report_actor import report_actor
from fediart.web.pages.forms import back, go, instance_of, member, path_id, text, trusted_form
from fediart.web.refusals import count_refusal
from fediart.web.render import profile_path, render

PAGE = 50
DAY_S = 24 * 3600
TIMES = (
    ("", "until I take it back"),
    (str(DAY_S), "for a day"),
    (str(7 * DAY_S), "for a week"),
    (str(30 * DAY_S), "for 30 days"),
)
"""(seconds, words): how long a mute or a filter may last."""

_VERBS: dict[str, Callable[[Instance, Account, int], Awaitable[None]]] = {
    "block": block_actor.block,
    "unblock": block_actor.unblock,
    "unmute": block_actor.unmute,
    "remove-follower": block_actor.remove_follower,
}


async def act(request: Request) -> Response:
    """What one does to somebody: forms on their profile and in the settings."""
    account, target, verb = await member(request), path_id(request), request.path_params["verb"]
    instance = instance_of(request)
    async with trusted_form(request) as form:
        if verb == "mute":
            loudly = not text(form, "notifications")
            seconds = parse_id(text(form, "for"))
            await block_actor.mute(instance, account, target, for_s=seconds, with_notifications=not loudly)
        elif verb in _VERBS:
            await _VERBS[verb](instance, account, target)
        else:
            raise NotFound("There is nothing here.")
        return back(request, form, "/settings/people")


async def report(request: Request) -> Response:
    """`/report/ID?work=ID`: somebody, and perhaps one work of theirs."""
    account, target = await member(request), path_id(request)
    instance, was_sent = instance_of(request), request.method == "POST"
    chosen, words, forward, problem, status, done = "", "", False, "", 200, False
    if was_sent:
        async with trusted_form(request) as form:
            chosen, words, forward = (
                text(form, "category"),
                text(form, "comment").replace("\r\n", "\n"),
                bool(text(form, "forward")),
            )
    shown = await instance.storage.read(actors.shown_actor, target)
    if shown is None or target == account.actor_id or await instance.storage.read(hides_from, shown.actor, account.actor_id):
        raise NotFound("There is nobody to report.")
    work_id = parse_id(request.query_params.get("work", ""))
    work = await instance.storage.read(shown_rows.work_seen_by, work_id, account.actor_id) if work_id else None
    if work is not None and work.work.actor_id != target:
        work = None
    if was_sent and chosen not in tuple(ReportCategory):
        problem, status = "Say what it is about.", 422
    elif was_sent:
        ids = [work.work.id] if work is not None else []
        category = ReportCategory(chosen)
        try:
            await report_actor(instance, account, target, category=category, comment=words, work_ids=ids, forward=forward)
            done = True
        except FediartError as refused:
            count_refusal(request, refused)
            problem, status = refused.message, refused.status
    return await render(
        request,
        "report.html",
        status,
        person=shown,
        work=work,
        categories=list(ReportCategory),
        chosen=chosen,
        words=words,
        forward=forward,
        problem=problem,
        done=done,
        most=MAX_COMMENT,
        profile=profile_path(shown),
        is_blocked=await instance.storage.read(blocks.block_uri, account.actor_id, target) is not None,
    )


async def people(request: Request) -> Response:
    """Whom and what one keeps away, and who may answer."""
    account = await member(request)
    if request.method != "POST":
        return await _people_page(request, account, "")
    problem = ""
    async with trusted_form(request) as form:
        action, _, number = text(form, "action").partition("-")
        try:
            if action not in _DEEDS:
                raise NotFound("There is nothing here.")
            await _DEEDS[action](instance_of(request), account, form, parse_id(number) or 0)
            return go("/settings/people" + ("#filters" if "filter" in action else ""))
        except FediartError as refused:
            count_refusal(request, refused)
            problem = refused.message
            words = {"host": text(form, "host")[:200], "words": text(form, "words")[:4_000]}
    return await _people_page(request, account, problem, 422, **words)


async def _people_page(request: Request, account: Account, problem: str, status: int = 200, **typed: str) -> Response:
    storage, me = instance_of(request).storage, account.actor_id
    max_id = parse_id(request.query_params.get("max_id", ""))
    return await render(
        request,
        "settings_people.html",
        status,
        blocked=await storage.read(blocks.blocked_by, me, max_id=max_id, limit=PAGE),
        muted=await storage.read(mutes.muted_by, me, max_id=max_id, limit=PAGE),
        hosts=await storage.read(mutes.muted_hosts, me),
        filters=await storage.read(filters.filters_of, me),
        replies=account.reply_policy or ReplyPolicy.EVERYONE,
        times=TIMES,
        places=_PLACES,
        problem=problem,
        typed={"host": "", "words": "", **typed},
    )


_PLACES = (
    (Place.HOME, "Home"),
    (Place.PUBLIC, "Public lists and hashtags"),
    (Place.THREAD, "Replies"),
    (Place.NOTIFICATIONS, "News"),
    (Place.ACCOUNT, "Profiles"),
)


async def _replies(instance: Instance, account: Account, form: FormData, _number: int) -> None:
    chosen = text(form, "replies")
    await instance.storage.write(accounts.put_reply_policy, account.id, chosen if chosen in tuple(ReplyPolicy) else "")


async def _mute_host(instance: Instance, account: Account, form: FormData, _number: int) -> None:
    await block_actor.mute_host(instance, account, text(form, "host"))


async def _unmute_host(instance: Instance, account: Account, form: FormData, number: int) -> None:
    """By its place in the list, counted from 1: a button's value is no place for a name."""
    held = await instance.storage.read(mutes.muted_hosts, account.actor_id)
    if 0 < number <= len(held) and held[number - 1] == text(form, f"host-{number}"):
        await block_actor.unmute_host(instance, account, held[number - 1])


async def _add_filter(instance: Instance, account: Account, form: FormData, _number: int) -> None:
    whole = bool(text(form, "whole"))
    lines = [line for line in text(form, "words").replace(",", "\n").splitlines() if line.strip()]
    chosen = [place for place in Place if text(form, f"place-{place}")]
    action = FilterAction.HIDE if text(form, "do") == "hide" else FilterAction.WARN
    words = [(line, whole) for line in lines]
    await keep_filter(instance, account, words=words, places=chosen, action=action, for_s=parse_id(text(form, "for")))


async def _drop_filter(instance: Instance, account: Account, _form: FormData, number: int) -> None:
    await drop_filter(instance, account, number)


_DEEDS: dict[str, Callable[[Instance, Account, FormData, int], Awaitable[None]]] = {
    "replies": _replies,
    "mutehost": _mute_host,
    "unmutehost": _unmute_host,
    "addfilter": _add_filter,
    "dropfilter": _drop_filter,
}


async def hosts(request: Request) -> Response:
    """`/about/hosts`: the servers that this one blocks or limits, as far as its admin says so in public."""
    rules = await instance_of(request).storage.read(host_rules.listed_rules, only_public=True)
    return await render(request, "about_hosts.html", rules=rules)
