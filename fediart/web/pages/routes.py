"""The pages' addresses. The last ones, `/@…`, take whatever begins with @."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from fediart.errors import NotFound
from fediart.studio.compare_image import KINDS
from fediart.web.pages import (
    account,
    ai_view,
    composer,
    copies,
    decisions,
    door,
    moving,
    people,
    quotes,
    record,
    resumable,
    safety,
    settings,
    sign_up,
    statement,
    works,
)
from fediart.web.pages.admin import deliveries as admin_deliveries
from fediart.web.pages.admin import door as admin_door
from fediart.web.pages.admin import hosts as admin_hosts
from fediart.web.pages.admin import people as admin_people
from fediart.web.pages.admin import policy as admin_policy
from fediart.web.pages.admin import review
from fediart.web.pages.admin import server as admin_server
from fediart.web.pages.admin import sign_ups as admin_sign_ups
from fediart.web.pages.admin import signals as admin_signals
from fediart.web.render import STATIC

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


async def static(request: Request) -> Response:
    """Our own style, script and placeholders; addresses with a hash may be kept for ever."""
    path = STATIC / request.path_params["name"]
    if path.suffix not in _TYPES or not path.is_file():
        raise NotFound("There is no such file.")
    cache = "public, max-age=31536000, immutable" if "v" in request.query_params else "public, max-age=3600"
    return FileResponse(path, media_type=_TYPES[path.suffix], headers={"cache-control": cache})


def page_routes() -> list[Route]:
    both = ["GET", "POST"]
    return [
        Route("/static/{name}", static),
        Route("/", door.front),
        Route("/setup", door.setup, methods=both),
        Route("/sign-in", door.sign_in, methods=both),
        Route("/sign-up", sign_up.sign_up, methods=both),
        Route("/sign-up/confirm", sign_up.confirm, methods=both),
        Route("/forgot", sign_up.forgot, methods=both),
        Route("/reset", sign_up.reset, methods=both),
        Route("/sign-out", door.sign_out, methods=["POST"]),
        Route("/about", door.about),
        Route("/about/cloak", door.about_cloak),
        Route("/ai-policy", statement.statement),
        Route("/ai-policy/revisions/{number}", statement.revision),
        Route("/announcements/{number}/dismiss", statement.dismiss, methods=["POST"]),
        Route("/labels/{name}", statement.label),
        Route("/about/hosts", safety.hosts),
        Route("/home", works.home),
        Route("/notifications", people.notifications),
        Route("/search", people.search),
        Route("/follow/{id}", people.follow, methods=["POST"]),
        Route("/follow-requests", people.requests),
        Route("/follow-requests/{id}", people.answer, methods=["POST"]),
        Route("/people/{id}/{verb}", safety.act, methods=["POST"]),
        Route("/report/{id}", safety.report, methods=both),
        Route("/authorize_interaction", people.authorize_interaction),
        Route("/compose", composer.start, methods=["POST"]),
        Route("/share", composer.share),
        Route("/compose/{id}", composer.compose, methods=both),
        Route("/compose/{id}/progress", composer.progress),
        Route("/compose/{id}/uploads", resumable.begin, methods=["POST"]),
        Route("/uploads/{id}", resumable.one, methods=["HEAD", "PATCH", "DELETE"]),
        Route("/drafts", composer.drafts),
        Route("/pictures/{id}", record.record),
        *(Route(f"/pictures/{{id}}/{kind}", record.file) for kind in KINDS),
        Route("/decisions", decisions.listed),
        Route("/decisions/{id}", decisions.one, methods=both),
        Route("/decisions/{id}/files/{file_id}", decisions.file),
        Route("/works/{id}", works.anywhere),
        Route("/works/{id}/copies", copies.progress),
        Route("/copies/{id}", copies.download),
        Route("/works/{id}/edit", works.edit, methods=both),
        Route("/works/{id}/{verb}", works.act, methods=["POST"]),
        Route("/tags/{tag}", works.tagged),
        Route("/settings/profile", settings.profile, methods=both),
        Route("/settings/rights", settings.rights, methods=both),
        Route("/settings/rights/first", settings.first_rights, methods=both),
        Route("/settings/cloak", settings.cloak, methods=both),
        Route("/settings/ai", ai_view.ai_view, methods=both),
        Route("/settings/password", settings.password, methods=both),
        Route("/settings/sessions", account.sessions, methods=both),
        Route("/settings/email", account.email, methods=both),
        Route("/settings/email/confirm", account.confirm_email, methods=both),
        Route("/settings/space", account.space),
        Route("/settings/cloaks", settings.cloaks, methods=both),
        Route("/settings/moving", moving.moving, methods=both),
        Route("/settings/delete", moving.leaving, methods=both),
        Route("/settings/people", safety.people, methods=both),
        Route("/settings/quotes", quotes.quotes, methods=both),
        Route("/admin", admin_door.front),
        Route("/admin/deliveries", admin_deliveries.deliveries, methods=both),
        Route("/admin/policy", admin_policy.policy, methods=both),
        Route("/admin/policy/check", admin_signals.check, methods=["POST"]),
        Route("/admin/review", review.queue),
        Route("/admin/review/{id}", review.one, methods=both),
        Route("/admin/review/{id}/pictures/{image_id}", review.picture),
        Route("/admin/people", admin_people.people, methods=both),
        Route("/admin/sign-ups", admin_sign_ups.sign_ups, methods=both),
        Route("/admin/hosts", admin_hosts.hosts, methods=both),
        Route("/admin/server", admin_server.server),
        Route("/admin/peers", admin_server.peers),
        Route("/admin/accounts", admin_server.accounts),
        Route("/admin/hosts.csv", admin_hosts.export),
        Route("/admin/audit", admin_people.log),
        Route("/@{name}/feed.atom", people.feed),
        Route("/@{name}/rights", statement.rights),
        Route("/@{name}/{work_id}", works.work),
        Route("/@{name}", people.profile),
    ]
