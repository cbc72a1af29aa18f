"""Counting what was refused. Whoever catches an error to show its words counts it here; the others reach `web/errors`."""

from __future__ import annotations

from starlette.requests import Request

from fediart.errors import FediartError


def count_refusal(request: Request, problem: FediartError) -> None:
    """One more of `fediart_refusals_total`, by the name of the reason."""
    request.app.state.instance.metrics.refusals.count(problem.name)
