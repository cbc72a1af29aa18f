"""Coming in: the front page, setup, signing in and out, and what this server says about itself."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.policy_words import IN_SHORT
from fediart.errors import FediartError, NotFound, Unavailable
from fediart.storage import accounts, works
from fediart.studio import sign_in as acts
from fediart.studio.choose_rights import is_to_be_asked
from fediart.studio.open_account import set_up, setup_is_open
from fediart.studio.sign_up import sign_ups_of
from fediart.web.pages.forms import go, instance_of, own_path, text, trusted_form
from fediart.web.refusals import count_refusal
from fediart.web.render import asked_to_wait, render
from fediart.web.reservation import reserve_works
from fediart.web.security import PasswordLimits, put_session, session_token, signed_in


def _limit(request: Request, account: str) -> None:
    limits: PasswordLimits = request.app.state.password_limits
    limits.take(request, account)


async def front(request: Request) -> Response:
    if await signed_in(request) is not None:
        return go("/home")
    instance = instance_of(request)
    shown = await instance.storage.read(works.public_works, None, limit=30, only_media=True)
    reserve_works(request, shown)
    is_new = not await instance.storage.read(accounts.any_account)
    welcome = not is_new and (await sign_ups_of(instance)).asks_strangers_in
    return await render(request, "front.html", works=shown, is_new=is_new, welcome=welcome)


async def setup(request: Request) -> Response:
    instance = instance_of(request)
    if request.method != "POST":
        token = request.query_params.get("token", "")[:200]
        if not await setup_is_open(instance, token):
            raise NotFound(
                "This setup link is not valid (any more). While there is no account, each start of the server prints a new one."
            )
        return await render(request, "setup.html", token=token, username="", problem="")
    async with trusted_form(request) as form:
        token, username, password = text(form, "token"), text(form, "username"), text(form, "password")
    try:
        _limit(request, "the setup link")
        await set_up(instance, token, username, password)
    except NotFound:
        raise
    except FediartError as problem:
        count_refusal(request, problem)
        values = {"token": token, "username": username, "problem": problem.message}
        return await render(request, "setup.html", problem.status, asked_to_wait(problem), **values)
    return await let_in(request, username, password, "/settings/profile")


async def let_in(request: Request, username: str, password: str, path: str) -> Response:
    """Sign in, and lead on: to the question that each artist is asked once, else to `path`. Raises SignInNeeded, TooMany."""
    instance = instance_of(request)
    token = await acts.sign_in(instance, username, password, request.headers.get("user-agent", ""))
    account = await instance.storage.read(accounts.account_named, acts.meant_username(username))
    if account is not None and await is_to_be_asked(instance, account):
        path = "/settings/rights/first"
    response = go(path)
    put_session(response, instance, token)
    return response


async def _welcomes(request: Request) -> bool:
    """May strangers ask for an account? Not while the database cannot say: what was typed comes back even then."""
    try:
        return (await sign_ups_of(instance_of(request))).asks_strangers_in
    except Unavailable:
        return False


async def sign_in(request: Request) -> Response:
    if request.method != "POST":
        on = own_path(request.query_params.get("back", ""))
        return await render(request, "sign_in.html", username="", problem="", back=on, welcome=await _welcomes(request))
    async with trusted_form(request) as form:
        username, password = text(form, "username")[:200], text(form, "password")[:600]
        on = own_path(text(form, "back"))
    try:
        _limit(request, acts.meant_username(username))
        return await let_in(request, username, password, on or "/home")
    except FediartError as problem:
        count_refusal(request, problem)
        values = {"username": username, "problem": problem.message, "back": on, "welcome": await _welcomes(request)}
        return await render(request, "sign_in.html", problem.status, asked_to_wait(problem), **values)


async def sign_out(request: Request) -> Response:
    async with trusted_form(request):
        pass
    token = session_token(request)
    if token:
        await acts.sign_out(instance_of(request), token)
    response = go("/")
    put_session(response, instance_of(request), "")
    return response


async def about(request: Request) -> Response:
    instance = instance_of(request)
    policy = instance.policy
    reserved = f"Where an artist says nothing else: {policy.reserve.default.words}"
    return await render(
        request, "about.html", in_short=IN_SHORT[policy.preset], reserved=reserved, sign_ups=await sign_ups_of(instance)
    )


async def about_cloak(request: Request) -> Response:
    return await render(request, "about_cloak.html", strength=instance_of(request).config.cloak.strength)
