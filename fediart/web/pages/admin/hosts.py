"""Other servers that this one blocks or limits."""

from __future__ import annotations

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.actors import Account
from fediart.domain.moderation import HostAction, ReadHosts, write_hosts
from fediart.errors import BadInput, FediartError
from fediart.office.limit_host import import_hosts, lift_host_rule, put_host_rule
from fediart.storage import host_rules
from fediart.web.pages.admin.door import admin
from fediart.web.pages.forms import go, instance_of, text, trusted_form
from fediart.web.refusals import count_refusal
from fediart.web.render import render

MAX_LIST = 4_000_000
"""Bytes of a list that is imported."""


async def hosts(request: Request) -> Response:
    account = await admin(request)
    if request.method != "POST":
        return await _page(request)
    typed: dict[str, str] = {}
    try:
        async with trusted_form(request) as form:
            action = text(form, "action")
            typed = {name: text(form, name)[:2_000] for name in ("host", "reason", "note", "do")}
            is_public = bool(text(form, "public"))
            if action == "import":
                upload = form.get("list")
                raw = await upload.read(MAX_LIST + 1) if isinstance(upload, UploadFile) else b""
                return await _import(request, account, raw, is_public)
        if action == "lift":
            await lift_host_rule(instance_of(request), typed["host"], account_id=account.id)
        else:
            if typed["do"] not in tuple(HostAction):
                raise BadInput("Say whether to limit or to block it.")
            await put_host_rule(
                instance_of(request),
                typed["host"],
                HostAction(typed["do"]),
                account_id=account.id,
                reason=typed["reason"],
                private_note=typed["note"],
                is_public=is_public,
            )
    except FediartError as problem:
        count_refusal(request, problem)
        return await _page(request, typed, problem=problem.message, status=problem.status)
    return go("/admin/hosts")


async def _import(request: Request, account: Account, raw: bytes, is_public: bool) -> Response:
    if len(raw) > MAX_LIST:
        raise BadInput(f"This list is longer than {MAX_LIST / 1e6:.0f} MB, the most that is read at once.")
    if not raw.strip():
        raise BadInput("Choose a list first: a CSV file as Mastodon exports it, or one host a line.")
    read = await import_hosts(instance_of(request), raw.decode("utf-8", "replace"), account_id=account.id, is_public=is_public)
    return await _page(request, read=read)


async def _page(
    request: Request,
    typed: dict[str, str] | None = None,
    *,
    problem: str = "",
    status: int = 200,
    read: ReadHosts | None = None,
) -> Response:
    rules = await instance_of(request).storage.read(host_rules.listed_rules)
    held = {"host": "", "reason": "", "note": "", "do": "block", **(typed or {})}
    return await render(request, "admin/hosts.html", status, rules=rules, problem=problem, read=read, typed=held)


async def export(request: Request) -> Response:
    """With Mastodon's header, so that it can be imported there. Private notes stay here."""
    await admin(request)
    rules = await instance_of(request).storage.read(host_rules.listed_rules)
    headers = {"cache-control": "private, no-store", "content-disposition": 'attachment; filename="hosts.csv"'}
    return Response(write_hosts(rules), headers=headers, media_type="text/csv")
