"""Keeping people away, as the client API calls it: blocks, mutes, domain_blocks, filters, reports."""

from __future__ import annotations

import re

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from fediart.clock import from_iso, to_iso
from fediart.domain.moderation import FilterAction, Place, ReportCategory
from fediart.errors import BadInput, NotFound
from fediart.ids import parse_id
from fediart.storage import actors, blocks, filters, mutes, reports
from fediart.studio import block_actor
from fediart.studio.keep_filter import drop_filter, keep_filter
from fediart.studio.report_actor import report_actor
from fediart.web.api import entities
from fediart.web.api.accounts import path_id, relationship
from fediart.web.api.answers import answer, page_of, paged
from fediart.web.api.auth import account_in, instance_of, needs
from fediart.web.uploads import many, one, parameters, truth


@needs("write:blocks")
async def block(request: Request) -> Response:
    await block_actor.block(instance_of(request), account_in(request), path_id(request))
    return await relationship(request, path_id(request))


@needs("write:blocks")
async def unblock(request: Request) -> Response:
    await block_actor.unblock(instance_of(request), account_in(request), path_id(request))
    return await relationship(request, path_id(request))


@needs("write:mutes")
async def mute(request: Request) -> Response:
    given = await parameters(request)
    seconds = parse_id(one(given, "duration"))
    also = truth(one(given, "notifications", "true"))
    await block_actor.mute(instance_of(request), account_in(request), path_id(request), for_s=seconds, with_notifications=also)
    return await relationship(request, path_id(request))


@needs("write:mutes")
async def unmute(request: Request) -> Response:
    await block_actor.unmute(instance_of(request), account_in(request), path_id(request))
    return await relationship(request, path_id(request))


@needs("write:follows")
async def remove_from_followers(request: Request) -> Response:
    await block_actor.remove_follower(instance_of(request), account_in(request), path_id(request))
    return await relationship(request, path_id(request))


@needs("read:blocks")
async def blocked(request: Request) -> Response:
    instance, cut = instance_of(request), page_of(request, 40)
    found = await instance.storage.read(blocks.blocked_by, account_in(request).actor_id, max_id=cut.max_id, limit=cut.limit)
    return paged(request, [entities.account(instance.identifiers, shown) for shown in found.items], found.ends)


@needs("read:mutes")
async def muted(request: Request) -> Response:
    instance, cut = instance_of(request), page_of(request, 40)
    found = await instance.storage.read(mutes.muted_by, account_in(request).actor_id, max_id=cut.max_id, limit=cut.limit)
    shapes = [
        {**entities.account(instance.identifiers, shown), "mute_expires_at": to_iso(until) if until is not None else None}
        for shown, until, _ in found.items
    ]
    return paged(request, shapes, found.ends)


@needs("read:blocks")
async def muted_hosts(request: Request) -> Response:
    """Mastodon's domain_blocks; here a mute of everybody on that host."""
    return answer(await instance_of(request).storage.read(mutes.muted_hosts, account_in(request).actor_id))


@needs("write:blocks")
async def mute_host(request: Request) -> Response:
    await block_actor.mute_host(instance_of(request), account_in(request), one(await parameters(request), "domain"))
    return answer({})


@needs("write:blocks")
async def unmute_host(request: Request) -> Response:
    await block_actor.unmute_host(instance_of(request), account_in(request), one(await parameters(request), "domain"))
    return answer({})


# -------------------------------------------------------------------------------------------------------- reports

_CATEGORIES = {
    **{category.value: category for category in ReportCategory},
    "ai_made": ReportCategory.AI_MADE,
    "legal": ReportCategory.VIOLATION,
    "": ReportCategory.OTHER,
}
"""Mastodon's, and ours."""


@needs("write:reports")
async def report(request: Request) -> Response:
    instance, given = instance_of(request), await parameters(request)
    target_id = parse_id(one(given, "account_id"))
    if target_id is None:
        raise NotFound("Record not found")
    category = _CATEGORIES.get(one(given, "category"))
    if category is None:
        raise BadInput(f"Validation failed: Category is not one of {', '.join(name for name in _CATEGORIES if name)}")
    work_ids = [id_ for text in many(given, "status_ids") if (id_ := parse_id(text)) is not None]
    made = await report_actor(
        instance,
        account_in(request),
        target_id,
        category=category,
        comment=one(given, "comment"),
        work_ids=work_ids,
        forward=truth(one(given, "forward")),
    )
    target = await instance.storage.read(actors.shown_actor, target_id)
    assert target is not None  # it was reported just now
    return answer(
        entities.report(instance.identifiers, made, target, await instance.storage.read(reports.works_of_report, made.id))
    )


# -------------------------------------------------------------------------------------------------------- filters


class _Word(msgspec.Struct):
    keyword: str = ""
    whole_word: bool | str = False
    _destroy: bool | str = False


_WORD = re.compile(r"keywords_attributes\[(\d{0,3})\]\[(keyword|whole_word|_destroy)\]")


def _words(given: dict[str, str | list[str]]) -> list[tuple[str, bool]] | None:
    """`keywords_attributes` of JSON (a list of objects) or of a form; None when nothing was said of words."""
    found: dict[str, _Word] = {}
    try:
        for number, item in enumerate(many(given, "keywords_attributes")):
            found[str(number)] = msgspec.json.decode(item, type=_Word)
    except msgspec.DecodeError:
        raise BadInput("Validation failed: Keywords must have a keyword") from None
    for name, value in given.items():
        if (match := _WORD.fullmatch(name)) and isinstance(value, str):
            setattr(found.setdefault(match[1], _Word()), match[2], value)
    if not found and "keywords_attributes" not in given:
        return None
    kept = [word for word in found.values() if not _truth(word._destroy)]
    return [(word.keyword, _truth(word.whole_word)) for word in kept]


def _truth(value: bool | str) -> bool:
    return value if isinstance(value, bool) else truth(value)


async def _keep(request: Request, filter_id: int | None) -> Response:
    instance, account, given = instance_of(request), account_in(request), await parameters(request)
    before = await instance.storage.read(filters.filter_of, account.actor_id, filter_id) if filter_id is not None else None
    words = _words(given)
    if words is None:
        words = [(word.word, word.whole) for word in before.words] if before is not None else [(one(given, "title"), False)]
    named = many(given, "context")
    places = [Place(name) for name in named if name in tuple(Place)]
    action = one(given, "filter_action") or (before.action if before is not None else FilterAction.WARN)
    if action not in tuple(FilterAction):
        raise BadInput("Validation failed: Filter action must be warn or hide")
    if len(places) < len(named) or (not places and before is None):
        raise BadInput(f"Validation failed: Context must be some of {', '.join(Place)}")
    kept = await keep_filter(
        instance,
        account,
        words=words,
        title=one(given, "title") or (before.title if before is not None else ""),
        places=places or (before.places if before is not None else ()),
        action=FilterAction(action),
        for_s=parse_id(one(given, "expires_in")),
        until=_until(given, before.until if before is not None else None),
        filter_id=filter_id,
    )
    return answer(entities.filter_(kept))


def _until(given: dict[str, str | list[str]], before: int | None) -> int | None:
    """What was said with `expires_at`; an `expires_in` of nothing means for good; else as it was."""
    if said := one(given, "expires_at"):
        return from_iso(said)
    return None if "expires_in" in given else before


@needs("read:filters")
async def list_filters(request: Request) -> Response:
    held = await instance_of(request).storage.read(filters.filters_of, account_in(request).actor_id)
    return answer([entities.filter_(item) for item in held])


@needs("write:filters")
async def add_filter(request: Request) -> Response:
    return await _keep(request, None)


@needs("read:filters")
async def show_filter(request: Request) -> Response:
    held = await instance_of(request).storage.read(filters.filter_of, account_in(request).actor_id, path_id(request))
    if held is None:
        raise NotFound("Record not found")
    return answer(entities.filter_(held))


@needs("write:filters")
async def change_filter(request: Request) -> Response:
    if await instance_of(request).storage.read(filters.filter_of, account_in(request).actor_id, path_id(request)) is None:
        raise NotFound("Record not found")
    return await _keep(request, path_id(request))


@needs("write:filters")
async def remove_filter(request: Request) -> Response:
    await drop_filter(instance_of(request), account_in(request), path_id(request))
    return answer({})
