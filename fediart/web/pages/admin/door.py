"""Who may come in where the server is looked after, and the first page there."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.actors import Account
from fediart.domain.reviews import ReviewKind
from fediart.domain.sign_ups import ApplicantState
from fediart.errors import NotFound
from fediart.instance import Instance
from fediart.storage import reviews, sign_ups
from fediart.storage.backups import last_backup
from fediart.web.pages.forms import instance_of, member
from fediart.web.render import render


async def moderator(request: Request) -> Account:
    """The signed-in account, if it may moderate. Others are not told that there is such a page."""
    account = await member(request)
    if not account.role.may_moderate:
        raise NotFound("There is nothing here.")
    return account


async def admin(request: Request) -> Account:
    """The signed-in account, if it may administer."""
    account = await member(request)
    if not account.role.may_administer:
        raise NotFound("There is nothing here.")
    return account


async def front(request: Request) -> Response:
    """The pages there are for this person."""
    await moderator(request)
    instance = instance_of(request)
    applicants = await instance.storage.read(sign_ups.count_applicants, ApplicantState.WAITING)
    return await render(
        request,
        "admin/front.html",
        waiting=await waiting_reviews(instance),
        applicants=applicants,
        last_backup=await instance.storage.read(last_backup),
        backups_by_themselves=bool(instance.config.backup.folder),
    )


async def waiting_reviews(instance: Instance) -> dict[ReviewKind, int]:
    """How many wait for a moderator, of each kind. Reports that nobody has seen yet come in here."""
    if await instance.storage.read(reviews.has_new_reports):
        await instance.storage.write(reviews.open_for_reports, instance.clock())
    return await instance.storage.read(reviews.count_open)
