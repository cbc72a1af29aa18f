"""What a person or program hears when something went wrong: a sentence, never a stack trace."""

from __future__ import annotations

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from fediart.errors import FediartError, SignatureNeeded, Unavailable
from fediart.web.api.answers import CORS
from fediart.web.negotiate import wants_activity
from fediart.web.render import asked_to_wait, render_error

log = structlog.get_logger("fediart.web")

_NAMES = {404: "no_such_address", 405: "no_such_method"}
_WORDS = {404: "There is nothing here.", 405: "This cannot be done at this address."}


_OF_A_DOCUMENT = {"cache-control": "no-store", "vary": "Accept, Signature"}
"""Another server may be given what this one is not."""

_HOW_TO_SIGN = {"www-authenticate": 'Signature realm="ActivityPub", headers="(request-target) host date"'}


def _wants_json(request: Request) -> bool:
    path = request.url.path
    return (
        path.startswith(("/api/", "/.well-known/", "/nodeinfo", "/users/", "/uploads/"))
        or path.endswith("/uploads")
        or wants_activity(request)
    )


async def _tell(request: Request, status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    if _wants_json(request):
        by_signature = _OF_A_DOCUMENT if request.url.path.startswith("/users/") or wants_activity(request) else {}
        return JSONResponse({"error": message}, status, headers={**CORS, **by_signature, **(headers or {})})
    return await render_error(request, status, message, headers)


async def on_fediart_error(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, FediartError)
    request.app.state.instance.metrics.refusals.count(problem.name)
    if problem.detail or problem.status >= 500:
        log.info("request.refused", status=problem.status, reason=problem.message, detail=problem.detail, path=request.url.path)
    headers = _HOW_TO_SIGN if isinstance(problem, SignatureNeeded) else asked_to_wait(problem)
    try:
        return await _tell(request, problem.status, problem.message, headers)
    except Unavailable:
        # Who looks cannot be told while the database is away, and a page is drawn for somebody.
        return PlainTextResponse(problem.message, problem.status, headers={"cache-control": "no-store", **headers})


async def on_http_error(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    request.app.state.instance.metrics.refusals.count(_NAMES.get(problem.status_code, "bad_request"))
    return await _tell(
        request, problem.status_code, _WORDS.get(problem.status_code, str(problem.detail)), dict(problem.headers or {})
    )


async def on_departure(request: Request, problem: Exception) -> Response:
    """Whoever sent half a request and left, or was left, hears nothing: it is neither a refusal of ours nor a crash."""
    request.app.state.instance.metrics.refusals.count("left_halfway")
    return Response(status_code=408)


async def on_crash(request: Request, problem: Exception) -> Response:
    log.error("request.crashed", path=request.url.path, method=request.method, exc_info=problem)
    message = "Something went wrong here. It was written to the log; please try again."
    try:
        return await _tell(request, 500, message)
    except Exception:  # a door: when the database is away, the page about it cannot be drawn either
        return PlainTextResponse(message, 500)
