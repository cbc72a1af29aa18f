"""Who may come in: how sign-ups go, invites, and those who wait for an answer."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.sign_ups import SignUps
from fediart.errors import BadInput, FediartError
from fediart.ids import parse_id
from fediart.office import admit_people as acts
from fediart.storage import sign_ups as rows
from fediart.studio.sign_up import sign_ups_of
from fediart.web.pages.admin.door import admin
from fediart.web.pages.forms import go, instance_of, text, trusted_form
from fediart.web.refusals import count_refusal
from fediart.web.render import render


async def sign_ups(request: Request) -> Response:
    account = await admin(request)
    if request.method != "POST":
        return await _page(request)
    async with trusted_form(request) as form:
        action, mode, reason, note = (text(form, name) for name in ("action", "mode", "reason", "note"))
        uses, days, which = text(form, "uses"), text(form, "days").strip(), parse_id(text(form, "which"))
    instance = instance_of(request)
    try:
        if action == "mode":
            if mode not in tuple(SignUps):
                raise BadInput("Choose one of the ways.")
            await acts.choose_sign_ups(instance, SignUps(mode), by=account)
        elif action == "invite":
            held = _number(days) if days else None
            made = await acts.make_invite(instance, uses=_number(uses), days=held, note=note, by=account)
            return await _page(request, made=made)
        elif which is None:
            raise BadInput("There is nothing to do.")
        elif action == "revoke":
            await acts.revoke_invite(instance, which, by=account)
        elif action == "admit":
            await acts.admit(instance, which, by=account)
        elif action == "refuse":
            await acts.turn_away(instance, which, reason, by=account)
    except FediartError as problem:
        count_refusal(request, problem)
        return await _page(request, problem=problem)
    return go("/admin/sign-ups")


def _number(typed: str) -> int:
    if not typed.strip().isdecimal() or len(typed.strip()) > 9:
        raise BadInput("How many people and how many days are whole numbers.")
    return int(typed)


async def _page(request: Request, *, made: str = "", problem: FediartError | None = None) -> Response:
    instance = instance_of(request)
    now = instance.clock()
    invites = await instance.storage.read(rows.all_invites)
    return await render(
        request,
        "admin/sign_ups.html",
        problem.status if problem is not None else 200,
        mode=await sign_ups_of(instance),
        modes=list(SignUps),
        with_mail=instance.config.mail.is_on,
        applicants=await instance.storage.read(rows.waiting_applicants),
        invites=[(invite, invite.is_open(now)) for invite in invites],
        made=made,
        problem=problem.message if problem is not None else "",
    )
