"""Every address of the server, from its own route table: a new route is tested because it is there."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from fediart.web.pages.routes import page_routes

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


def route_table(app: ASGIApp) -> list[Route]:
    """The routes below the layers of `create_app`."""
    inner: Any = app
    while not isinstance(inner, Starlette):
        inner = inner._app
    routes = [route for route in inner.routes if isinstance(route, Route)]
    assert len(routes) == len(inner.routes), "a kind of route that these tests do not know"
    return routes


def page_paths() -> frozenset[str]:
    return frozenset(route.path for route in page_routes())


def parameters(path: str) -> list[str]:
    return _PARAMETER.findall(path)


def filled(path: str, values: Mapping[str, Sequence[str]]) -> list[str]:
    """The path with every combination of known values. Fails for a parameter nobody declared."""
    names = parameters(path)
    unknown = [name for name in names if name not in values]
    assert not unknown, f"say what {path} is filled with: {unknown}"
    return [
        _PARAMETER.sub("{}", path).format(*combination) for combination in itertools.product(*(values[name] for name in names))
    ]
