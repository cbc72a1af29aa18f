"""An artist's account: who is signed in to it, where letters go, and how much room is left."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.actors import Account
from fediart.domain.browsers import browser_in_words
from fediart.domain.space import quota_of
from fediart.errors import FediartError
from fediart.instance import token_hash
from fediart.storage import accounts
from fediart.storage.space import largest_works, space_of
from fediart.studio import change_email
from fediart.studio.sign_in import sign_out_everywhere
from fediart.web.pages.forms import account_holder, go, instance_of, text, trusted_form
from fediart.web.pages.sign_up import limit_links
from fediart.web.refusals import count_refusal
from fediart.web.render import asked_to_wait, render
from fediart.web.security import PasswordLimits, SignUpLimits, put_session, session_token


async def sessions(request: Request) -> Response:
    account = await account_holder(request)
    instance = instance_of(request)
    own = token_hash(session_token(request) or "")
    if request.method == "POST":
        async with trusted_form(request) as form:
            action, which = text(form, "action"), text(form, "which")[:64]
        if action == "session" and which != own:
            await instance.storage.write(accounts.end_session_of, account.id, which)
        elif action == "grant":
            await instance.storage.write(accounts.end_grant_of, account.id, which)
        elif action == "everywhere":
            token = await sign_out_everywhere(instance, account, request.headers.get("user-agent", ""))
            response = go("/settings/sessions?done=1")
            put_session(response, instance, token)
            return response
        return go("/settings/sessions")
    held = await instance.storage.read(accounts.sessions_of, account.id, instance.clock())
    return await render(
        request,
        "settings_sessions.html",
        sessions=[(which, browser_in_words(agent), since, seen, which == own) for which, since, seen, agent in held],
        grants=await instance.storage.read(accounts.grants_of, account.id),
        done="done" in request.query_params,
    )


async def email(request: Request) -> Response:
    account = await account_holder(request)
    instance = instance_of(request)
    typed = ""
    problem: FediartError | None = None
    if request.method == "POST":
        async with trusted_form(request) as form:
            action, typed, password = text(form, "action"), text(form, "email").strip()[:300], text(form, "password")[:600]
        limits: PasswordLimits = request.app.state.password_limits
        letters: SignUpLimits = request.app.state.sign_up_limits
        try:
            limits.take(request, f"the password of {account.id}")
            if action == "drop":
                await change_email.drop_address(instance, account, password)
                return go("/settings/email")
            letters.take_letter(request, f"the address of {account.id}")
            await change_email.ask_for_address(instance, account, typed, password)
            return await _email_page(request, account, sent=typed)
        except FediartError as refused:
            count_refusal(request, refused)
            problem = refused
    return await _email_page(request, account, typed=typed, problem=problem)


async def _email_page(
    request: Request, account: Account, *, sent: str = "", typed: str = "", problem: FediartError | None = None
) -> Response:
    return await render(
        request,
        "settings_email.html",
        problem.status if problem is not None else 200,
        asked_to_wait(problem) if problem is not None else None,
        held=account.email,
        with_mail=instance_of(request).config.mail.is_on,
        sent=sent,
        typed=typed,
        problem=problem.message if problem is not None else "",
    )


async def confirm_email(request: Request) -> Response:
    """By the link of a letter, signed in or not; only the button does something."""
    if request.method != "POST":
        token = request.query_params.get("token", "")[:200]
        return await render(request, "confirm.html", token=token, username="", email="")
    async with trusted_form(request) as form:
        token = text(form, "token")[:200]
    limit_links(request)
    await change_email.confirm_address(instance_of(request), token)
    return await render(request, "signed_up.html", outcome="address", email="")


async def space(request: Request) -> Response:
    account = await account_holder(request)
    instance = instance_of(request)
    return await render(
        request,
        "settings_space.html",
        space=await instance.storage.read(space_of, account.actor_id),
        quota=quota_of(account, instance.config.accounts.quota_mb),
        largest=await instance.storage.read(largest_works, account.actor_id),
    )
