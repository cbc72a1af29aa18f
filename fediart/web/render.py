"""Pages from templates: every value is escaped, every page knows who looks at it."""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from fediart.activitypub.identifiers import is_web_uri
from fediart.clock import to_iso
from fediart.domain.actors import Account
from fediart.domain.cloaks import in_words
from fediart.domain.policy_words import PolicyChange
from fediart.domain.works import ShownActor
from fediart.errors import FediartError, TooMany, Unavailable
from fediart.instance import Instance
from fediart.media.intake import formats_here
from fediart.storage import actors, notifications, policies
from fediart.web.emojis import escaped, named, with_emojis
from fediart.web.reservation import head_of
from fediart.web.security import cookie_name, form_token, session_token, signed_in

STATIC = Path(__file__).with_name("static")


def _moment(ms: int) -> str:
    """`24 November 2026`."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{moment.day} {moment:%B %Y}"


def _bytes_in_words(size: int) -> str:
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{max(1, round(size / 1e3))} kB"


@cache
def static_url(name: str) -> str:
    """With the content's hash, so that it can be cached for ever."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def handle(shown: ShownActor, domain: str) -> str:
    return f"@{shown.actor.username}@{shown.actor.host or domain}"


def profile_path(shown: ShownActor) -> str:
    actor = shown.actor
    return f"/@{actor.username}" if actor.is_local else f"/@{actor.username}@{actor.host}"


def counted(number: int, one: str, many: str = "") -> str:
    """`1 work`, `3 works`; `many` where an s does not do."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def json_ld(document: object) -> Markup:
    """As a data block in a page: no letter of it can end the block or begin an element. Escaped in JSON's own way."""
    text = json.dumps(document, ensure_ascii=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)  # noqa: S704  # no markup is left in it


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("fediart.web"),
        autoescape=select_autoescape(["html", "xml"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "moment": _moment,
        "iso": to_iso,
        "named": named,
        "with_emojis": with_emojis,
        "escaped": escaped,
        "in_words": in_words,
        "sanitised": Markup,
        "json_ld": json_ld,
        "profile_path": profile_path,
        "bytes_in_words": _bytes_in_words,
        "counted": counted,
        "web_uri": lambda uri: uri if is_web_uri(uri) else "",
    }
    environment.globals["static_url"] = static_url
    # Not more than is read: of what is not named here an iPhone makes a JPEG by itself.
    environment.globals["picture_types"] = ",".join(formats_here().values())
    return environment


def render_text(template: str, **values: Any) -> str:
    """A template without a viewer: feeds."""
    return _environment().get_template(template).render(**values)


async def policy_news(instance: Instance, account: Account | None) -> PolicyChange | None:
    """What is otherwise in the AI-art policy since this person last said that they know. For most, nothing is asked."""
    if account is None or account.suspended_at is not None or account.policy_read >= instance.policy.number:
        return None
    return await instance.storage.read(policies.changes_since, account.policy_read)


async def render(
    request: Request, template: str, status: int = 200, headers: dict[str, str] | None = None, **values: Any
) -> Response:
    """A page for whoever asks. Nothing of it is kept by caches."""
    instance: Instance = request.app.state.instance
    account = await signed_in(request)
    me = await instance.storage.read(actors.shown_actor, account.actor_id) if account is not None else None
    unseen = await instance.storage.read(notifications.unseen_count, account.actor_id) if account is not None else 0
    news = await policy_news(instance, account)
    is_low = account is not None and account.role.may_administer and instance.reserve.is_low()
    fresh = ""
    form_cookie = cookie_name(instance) + "-form"
    if not session_token(request) and not request.cookies.get(form_cookie):
        fresh = secrets.token_urlsafe(24)
        request.state.form_cookie = fresh
    body = (
        _environment()
        .get_template(template)
        .render(
            site=instance.config.instance,
            domain=instance.identifiers.account_domain,
            base_url=instance.identifiers.base_url,
            handle=lambda shown: handle(shown, instance.identifiers.account_domain),
            account=account,
            me=me,
            unseen=unseen,
            news=news,
            asks_rights=instance.policy.reserve.ask_artists and account is not None and account.reservation is None,
            here=request.url.path if request.method in ("GET", "HEAD") else "/home",
            form_token=form_token(request),
            path=request.url.path,
            disk_is_low=is_low,
            said=head_of(request),
            **values,
        )
    )
    held = {"cache-control": "private, no-store", "vary": "Accept, Cookie", **(headers or {})}
    response = HTMLResponse(body, status, headers=held)
    if fresh:
        is_https = instance.config.base_url.startswith("https:")
        response.set_cookie(form_cookie, fresh, path="/", secure=is_https, httponly=True, samesite="lax")
    return response


def asked_to_wait(problem: FediartError) -> dict[str, str]:
    """The header that says when to come again, where a problem passes."""
    return {"retry-after": str(problem.retry_after)} if isinstance(problem, TooMany | Unavailable) else {}


async def render_error(request: Request, status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return await render(request, "error.html", status, headers, message=message, code=status)
