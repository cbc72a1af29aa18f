"""The application: its layers and its routes, in one place."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from fediart.errors import FediartError
from fediart.instance import Instance
from fediart.office.probe import PATH
from fediart.web import errors, health, media, robots
from fediart.web.activitypub.asker import KEYS_IN_S, KEYS_OF_A_HOST
from fediart.web.activitypub.inbox import InboxFirst
from fediart.web.activitypub.routes import activitypub_routes
from fediart.web.api.answers import CORS
from fediart.web.api.repeats import Repeats
from fediart.web.api.routes import api_routes
from fediart.web.crawlers import Crawlers
from fediart.web.figures import Measured
from fediart.web.gate import GATE_PATH, Gate, gate_page
from fediart.web.pages.routes import page_routes
from fediart.web.security import Limiter, PasswordLimits, Shield, SignUpLimits
from fediart.web.statements import statement_routes


class _Preflight:
    """Browsers' programs ask with OPTIONS first; the client API is open to every origin."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "OPTIONS" and scope["path"].startswith(("/api/", "/oauth/")):
            await Response(status_code=204, headers=CORS)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def create_app(instance: Instance) -> ASGIApp:
    """The whole server as one ASGI application over an open instance."""
    app = Starlette(
        routes=[
            Route("/media/{name:path}", media.media),
            Route("/originals/{image_id}", media.original),
            Route("/healthz", health.healthz),
            Route(PATH, health.front, methods=["GET", "POST"]),
            Route("/robots.txt", robots.robots),
            Route(GATE_PATH, gate_page, methods=["GET", "POST"]),
            *statement_routes(),
            *activitypub_routes(),
            *api_routes(),
            *page_routes(),
        ],
        exception_handlers={
            FediartError: errors.on_fediart_error,
            HTTPException: errors.on_http_error,
            ClientDisconnect: errors.on_departure,
            Exception: errors.on_crash,
        },
    )
    app.state.instance = instance
    app.state.password_limits = PasswordLimits()
    app.state.asked_keys = Limiter(KEYS_OF_A_HOST, KEYS_IN_S)
    app.state.sign_up_limits = SignUpLimits()
    app.state.repeats = Repeats()
    app.state.gate = Gate(instance)
    app.state.robots = robots.RobotsText()
    app.router.redirect_slashes = False
    shielded = Shield(_Preflight(Crawlers(app, instance, app.state.gate)), instance)
    app.state.whole = whole = Measured(InboxFirst(shielded, instance), instance)
    return whole
