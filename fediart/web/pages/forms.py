"""What every page with a form needs: who is signed in, and a form that came from here."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from urllib.parse import quote

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fediart.activitypub.identifiers import same_host
from fediart.domain.actors import Account
from fediart.errors import NotAllowed, NotFound, SignInNeeded
from fediart.ids import parse_id
from fediart.instance import Instance
from fediart.web.security import check_form, signed_in
from fediart.web.uploads import reading_form

MAX_PATH = 20_000


def instance_of(request: Request) -> Instance:
    instance: Instance = request.app.state.instance
    return instance


async def account_holder(request: Request) -> Account:
    """The account that is signed in, also a suspended one, which may only take its things or appeal. Raises SignInNeeded."""
    account = await signed_in(request)
    if account is None:
        raise SignInNeeded("Please sign in first.")
    return account


async def member(request: Request) -> Account:
    """The account that is signed in and may act. Raises SignInNeeded, NotAllowed."""
    account = await account_holder(request)
    if account.suspended_at is not None:
        raise NotAllowed(suspended_in_words(account))
    return account


def suspended_in_words(account: Account) -> str:
    why = f" The reason: {account.suspended_reason}" if account.suspended_reason else ""
    return f"The moderators of this server have suspended your account. Nothing of it is deleted.{why}"


def path_id(request: Request, name: str = "id") -> int:
    id_ = parse_id(request.path_params[name])
    if id_ is None:
        raise NotFound("There is nothing here.")
    return id_


@contextlib.asynccontextmanager
async def trusted_form(request: Request) -> AsyncIterator[FormData]:
    """The form, once it is sure that it came from a page of ours."""
    async with reading_form(request) as form:
        check_form(request, text(form, "form_token"))
        yield form


def text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def go(path: str) -> Response:
    """To another page of ours, by GET."""
    return RedirectResponse(path, 303)


def to_origin(uri: str, url: str) -> Response:
    """A stranger is sent to where something of another server is at home: its page, if that is on the host of its id."""
    target = url if same_host(uri, url) else uri
    return RedirectResponse(target, 302, headers={"cache-control": "private, no-store", "vary": "Accept, Cookie"})


def back(request: Request, form: FormData, default: str) -> Response:
    """To where the form says it stood: a path of ours, nothing else."""
    return go(own_path(text(form, "back")) or default)


def own_path(path: str) -> str:
    """A path of ours, with its query; '' when it is none."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\")) and all(c > " " for c in path)
    return path if is_ours and len(path) <= MAX_PATH else ""


async def member_or_sign_in(request: Request) -> Account | Response:
    """Somebody of ours comes by a link of another site: whoever is not signed in is asked to, and then led on."""
    if await signed_in(request) is None:
        query = f"?{request.url.query}" if request.url.query else ""
        return go(f"/sign-in?back={quote(request.url.path + query, safe='')}")
    return await member(request)
