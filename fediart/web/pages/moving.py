"""Coming from elsewhere, going elsewhere, and leaving for good: an artist's own pages."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.actors import Account
from fediart.domain.works import ShownActor
from fediart.errors import FediartError
from fediart.storage import accounts, actors
from fediart.studio.delete_account import delete_account, keeps_last_owner
from fediart.studio.move_account import add_alias, drop_alias, may_move_at, move_account, return_account
from fediart.web.pages.forms import account_holder, go, instance_of, member, text, trusted_form
from fediart.web.refusals import count_refusal
from fediart.web.render import asked_to_wait, render
from fediart.web.security import PasswordLimits, put_session


def _limit(request: Request, account: Account) -> None:
    limits: PasswordLimits = request.app.state.password_limits
    limits.take(request, f"the password of {account.id}")


async def moving(request: Request) -> Response:
    account = await member(request)
    instance = instance_of(request)
    if request.method != "POST":
        return await _page(request, account)
    async with trusted_form(request) as form:
        action, words, password = text(form, "action"), text(form, "words").strip(), text(form, "password")
        uri = text(form, "uri")
    try:
        if action == "alias":
            await add_alias(instance, account, words)
        elif action == "drop":
            await drop_alias(instance, account, uri)
        elif action == "move":
            _limit(request, account)
            await move_account(instance, account, words, password)
        elif action == "return":
            await return_account(instance, account)
    except FediartError as problem:
        count_refusal(request, problem)
        return await _page(request, account, action, words[:2_000], problem)
    return go("/settings/moving")


async def _page(
    request: Request, account: Account, action: str = "", words: str = "", problem: FediartError | None = None
) -> Response:
    instance = instance_of(request)
    shown = await instance.storage.read(actors.shown_actor, account.actor_id)
    assert shown is not None  # an account always has its actor
    free = may_move_at(shown.actor)
    return await render(
        request,
        "settings_moving.html",
        problem.status if problem is not None else 200,
        asked_to_wait(problem) if problem is not None else None,
        person=shown,
        aliases=await _aliases(request, shown),
        waits_until=free if free is not None and free > instance.clock() else None,
        action=action,
        words=words,
        problem=problem.message if problem is not None else "",
    )


async def _aliases(request: Request, shown: ShownActor) -> list[tuple[str, ShownActor | None]]:
    instance = instance_of(request)
    known = await instance.storage.read(actors.actors_by_uri, shown.actor.also_known_as)
    people = await instance.storage.read(actors.shown_actors, [actor.id for actor in known.values()])
    return [(uri, people.get(known[uri].id) if uri in known else None) for uri in shown.actor.also_known_as]


async def leaving(request: Request) -> Response:
    """Also whom the moderators suspended may leave."""
    account = await account_holder(request)
    instance = instance_of(request)
    problem: FediartError | None = None
    if request.method == "POST":
        async with trusted_form(request) as form:
            name, password = text(form, "name"), text(form, "password")
        try:
            _limit(request, account)
            await delete_account(instance, account, name, password)
        except FediartError as refused:
            count_refusal(request, refused)
            problem = refused
        else:
            response = await render(request, "left.html")
            put_session(response, instance, "")
            return response
    return await render(
        request,
        "settings_delete.html",
        problem.status if problem is not None else 200,
        asked_to_wait(problem) if problem is not None else None,
        problem=problem.message if problem is not None else "",
        is_last_owner=await instance.storage.read(keeps_last_owner, account),
        others=len(await instance.storage.read(accounts.account_names)) - 1,
    )
