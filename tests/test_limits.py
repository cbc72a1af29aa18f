"""Every way to try a password, a link or a letter has a limit, and no spelling of an address or of oneself has one of its own."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from fediart.config import load_config
from fediart.domain.actors import Role
from fediart.instance import open_instance
from fediart.storage import accounts
from fediart.studio.open_account import setup_token
from fediart.web.pages.routes import page_routes
from tests.addresses import parameters, route_table
from tests.people import PASSWORD, Browser, People, people_of
from tests.world import LOOPBACK, World, a_world

pytestmark = [pytest.mark.anyio, pytest.mark.row(29)]

FORM = {
    "username": "mira", "password": "a wrong guess", "old": "a wrong guess", "new": PASSWORD, "again": PASSWORD, "token": "guess",
    "asked": "mira", "email": "mira@art.example", "agrees": "1", "action": "move", "words": "@mira@far.example", "name": "mira",
}  # fmt: skip

OF_STRANGERS = {
    "/sign-in": 5,
    "/setup": 5,
    "/sign-up": 5,
    "/forgot": 3,
    "/sign-up/confirm": 25,
    "/reset": 25,
    "/settings/email/confirm": 25,
}
OF_MEMBERS = {"/settings/password": 5, "/settings/email": 5, "/settings/moving": 5, "/settings/delete": 5}
"""Address → so many tries. Those of members share theirs: it is one password."""

OPEN = {"/sign-out"}
"""What a stranger may send and that tries nothing."""


@pytest.fixture
async def limited(tmp_path: Path) -> AsyncIterator[tuple[World, People]]:
    settings: dict[str, Any] = {"limits.enabled": True, "accounts.sign_ups": "open", "server.trusted_proxies": ["10.0.0.0/8"]}
    async with a_world(tmp_path, jobs=False, **settings) as world, people_of(world.instance) as people:
        yield world, people


def _spellings(path: str) -> list[tuple[str, str]]:
    """(method, address)"""
    upper, coded = path.upper(), f"/%{ord(path[1]):02x}{path[2:]}"
    posted = [path, f"{path}/", f"{path}.json", f"/{path}", upper, coded, f"{path}?x=1", f"{path};x", f"{path}%00", f"/.{path}"]
    posted += [f"/media/..{path}", f"/static/..{path}", f"/static/..%2f{path[1:]}", f"{path}%2f", f"{path}#x"]
    return [*(("POST", each) for each in posted), ("PUT", path), ("PATCH", path), ("DELETE", path)]


async def _tried(browser: Browser, path: str, headers: dict[str, str], method: str = "POST") -> httpx.Response:
    token = browser.http.headers["x-of-the-form"]
    return await browser.http.request(method, path, data={**FORM, "form_token": token}, headers=headers)


async def _exhausted(browser: Browser, path: str, most: int) -> None:
    """After `most` tries there is none left by any spelling, whatever is said of who asks."""
    told = []
    for number in range(most + 1):
        told.append((await _tried(browser, path, {"x-forwarded-for": f"198.51.100.{number}"})).status_code)
    assert 429 not in told[:-1], (path, told)
    assert told[-1] == 429, (path, told)
    claims: tuple[dict[str, str], ...] = (
        {},
        {"x-forwarded-for": "127.0.0.1"},
        {"forwarded": "for=127.0.0.1"},
        {"x-real-ip": "10.0.0.1"},
        {"x-client-ip": "::1"},
    )
    for method, spelled in _spellings(path):
        for claim in claims:
            answer = await _tried(browser, spelled, claim, method)
            assert answer.status_code in (404, 405, 429), (method, spelled, answer.status_code)
    for method in ("GET", "HEAD"):
        # Asking for the form is no try.
        before = await browser.http.request(method, path, params=FORM)
        assert before.status_code in (200, 303, 404, 405), (method, path)
    assert (await _tried(browser, path, {"x-http-method-override": "GET"})).status_code == 429


async def _stranger(people: People, number: int) -> Browser:
    browser = await people.browser(client=(f"203.{number}.113.9", 1))
    browser.http.headers["x-of-the-form"] = await browser.form_token("/sign-in")
    return browser


async def test_tries_of_strangers_run_out_however_the_address_is_spelled(limited: tuple[World, People]) -> None:
    _, people = limited
    for number, (path, most) in enumerate(OF_STRANGERS.items()):
        await _exhausted(await _stranger(people, number), path, most)


async def test_tries_of_whoever_holds_a_session_run_out_for_all_pages_together(limited: tuple[World, People]) -> None:
    _, people = limited
    first, *others = OF_MEMBERS
    browser = await people.browser(client=("203.0.113.9", 1))
    assert (await browser.sign_in("mira")).status_code == 303
    browser.http.headers["x-of-the-form"] = await browser.form_token("/search")
    await _exhausted(browser, first, OF_MEMBERS[first])
    for path in others:
        await _exhausted_already(browser, path)


async def _exhausted_already(browser: Browser, path: str) -> None:
    for method, spelled in _spellings(path):
        assert (await _tried(browser, spelled, {}, method)).status_code in (404, 405, 429), (method, spelled)


async def test_whoever_comes_through_a_trusted_proxy_is_told_apart_by_what_it_adds_and_nothing_else(
    limited: tuple[World, People],
) -> None:
    _, people = limited
    browser = await people.browser(client=("10.0.0.2", 1))
    browser.http.headers["x-of-the-form"] = await browser.form_token("/sign-in")
    for number in range(25):
        made_up = f"198.51.100.{number}, 127.0.0.1, unknown, 203.0.113.9"
        assert (await _tried(browser, "/reset", {"x-forwarded-for": made_up})).status_code == 404
    assert (await _tried(browser, "/reset", {"x-forwarded-for": "203.0.113.9"})).status_code == 429
    assert (await _tried(browser, "/reset", {"x-forwarded-for": "203.0.113.10"})).status_code == 404


async def test_every_form_that_takes_a_password_or_that_a_stranger_may_send_has_a_limit(tmp_path: Path) -> None:
    """From the route table, and from the pages as they are shown: a new one fails here until it is listed, and then is tried."""
    settings = {**LOOPBACK, "accounts.sign_ups": "open"}
    async with open_instance(load_config(None, {}, settings), tmp_path) as instance, people_of(instance) as people:
        stranger = await people.browser()
        forms = _forms((await stranger.get(f"/setup?token={await setup_token(instance)}")).text)
        mira = await people.person("mira")
        await instance.storage.write(accounts.put_role, mira.account.id, Role.OWNER)
        stranger_token = await stranger.form_token("/sign-in")
        taken = set()
        for route in route_table(people.app):
            if "GET" in (route.methods or ()) and not parameters(route.path):
                for browser in (stranger, mira.browser):
                    forms |= _forms((await browser.get(route.path)).text)
            if "POST" in (route.methods or ()) and route in _pages_of(people.app):
                path = re.sub(r"\{\w+\}", "1", route.path)
                answer = await stranger.http.post(path, data={"form_token": stranger_token})
                if answer.status_code != 401:
                    taken.add(route.path)
    assert forms - {*OF_STRANGERS, *OF_MEMBERS} == set()
    assert taken - {*OF_STRANGERS, *OPEN} == set()


def _forms(text: str) -> set[str]:
    """Where the forms of a page that ask for a password go."""
    found = re.findall(r'<form\b[^>]*action="([^"?]*)[^"]*"[^>]*>(.*?)</form>', text, re.DOTALL)
    return {action for action, inside in found if 'type="password"' in inside}


def _pages_of(app: Starlette) -> list[Any]:
    held = {route.path for route in page_routes()}
    return [route for route in route_table(app) if route.path in held]
