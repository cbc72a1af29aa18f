"""Strangers at the door: signing up, by invite or without, confirming an address, and getting back in without a password."""

from __future__ import annotations

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.policy_words import IN_SHORT, of_uploads
from fediart.domain.sign_ups import MAX_REASON, SignUps, to_agree_to
from fediart.errors import FediartError, NotFound
from fediart.studio import regain_account, sign_in
from fediart.studio import sign_up as acts
from fediart.studio.sign_up import Outcome, Wish, sign_ups_of
from fediart.web.pages.door import let_in
from fediart.web.pages.forms import go, instance_of, text, trusted_form
from fediart.web.refusals import count_refusal
from fediart.web.render import asked_to_wait, render
from fediart.web.security import PasswordLimits, SignUpLimits, signed_in


def _limits(request: Request) -> SignUpLimits:
    limits: SignUpLimits = request.app.state.sign_up_limits
    return limits


def limit_links(request: Request) -> None:
    """Raises TooMany."""
    limits: PasswordLimits = request.app.state.password_limits
    limits.take_link(request)


async def sign_up(request: Request) -> Response:
    if request.method != "POST":
        if await signed_in(request) is not None:
            return go("/home")
        return await _page(request, Wish("", "", invite=request.query_params.get("invite", "")[:200]))
    async with trusted_form(request) as form:
        wish = Wish(
            text(form, "username")[:200],
            text(form, "password")[:600],
            text(form, "email")[:300],
            text(form, "reason")[: 2 * MAX_REASON],
            text(form, "invite")[:200],
            bool(text(form, "agrees")),
        )
    try:
        _limits(request).take_sign_up(request)
        outcome = await acts.sign_up(instance_of(request), wish)
    except FediartError as problem:
        count_refusal(request, problem)
        return await _page(request, wish, problem)
    if outcome == Outcome.OPENED:
        return await let_in(request, wish.username, wish.password, "/settings/profile")
    return await render(request, "signed_up.html", outcome=outcome, email=wish.email.strip())


async def _page(request: Request, wish: Wish, problem: FediartError | None = None) -> Response:
    instance = instance_of(request)
    return await render(
        request,
        "sign_up.html",
        problem.status if problem is not None else 200,
        asked_to_wait(problem) if problem is not None else None,
        hindrance=await instance.storage.read(acts.hindrance, instance, wish.invite, instance.clock()),
        is_to_be_asked=not wish.invite and await sign_ups_of(instance) == SignUps.APPROVAL,
        with_mail=instance.config.mail.is_on,
        in_short=IN_SHORT[instance.policy.preset],
        uploads=of_uploads(instance.policy),
        to_agree_to=to_agree_to(instance.policy),
        typed={**asdict(wish), "password": ""},
        problem=problem.message if problem is not None else "",
    )


async def confirm(request: Request) -> Response:
    """By the link of the letter; only the button does something, because mail programs open links by themselves."""
    instance = instance_of(request)
    if request.method != "POST":
        token = request.query_params.get("token", "")[:200]
        applicant = await acts.applicant_of(instance, token)
        if applicant is None:
            raise NotFound(acts.NO_LINK)
        return await render(request, "confirm.html", token=token, username=applicant.username, email=applicant.email)
    async with trusted_form(request) as form:
        token = text(form, "token")[:200]
    limit_links(request)
    outcome = await acts.confirm_address(instance, token)
    return await render(request, "signed_up.html", outcome=outcome, email="")


async def forgot(request: Request) -> Response:
    """The answer is the same whether there is such an account or not."""
    instance = instance_of(request)
    with_mail, asked, problem = instance.config.mail.is_on, "", ""
    status, headers = 200, None
    if request.method == "POST":
        async with trusted_form(request) as form:
            asked = text(form, "asked").strip()[:254]
        try:
            _limits(request).take_letter(request, asked.lower() if "." in asked else sign_in.meant_username(asked))
            await regain_account.ask_for_link(instance, asked)
        except FediartError as refused:
            count_refusal(request, refused)
            problem, status, headers = refused.message, refused.status, asked_to_wait(refused)
        else:
            return await render(request, "forgot.html", with_mail=with_mail, asked=asked, done=True, problem="")
    return await render(request, "forgot.html", status, headers, with_mail=with_mail, asked=asked, done=False, problem=problem)


async def reset(request: Request) -> Response:
    """By a link, which works once."""
    instance = instance_of(request)
    problem: FediartError | None = None
    if request.method != "POST":
        token = request.query_params.get("token", "")[:200]
        if not await regain_account.is_open(instance, token):
            raise NotFound(regain_account.NO_LINK)
    else:
        async with trusted_form(request) as form:
            token, new = text(form, "token")[:200], text(form, "new")[:600]
        try:
            limit_links(request)
            await regain_account.choose_password(instance, token, new)
        except NotFound:
            raise
        except FediartError as refused:
            count_refusal(request, refused)
            problem = refused
        else:
            return await render(request, "reset.html", token="", problem="", done=True)
    status = problem.status if problem is not None else 200
    headers = asked_to_wait(problem) if problem is not None else None
    said = problem.message if problem is not None else ""
    return await render(request, "reset.html", status, headers, token=token, problem=said, done=False)
