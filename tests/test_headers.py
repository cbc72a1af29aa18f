"""What every answer carries, whoever asks and whatever the answer is."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fediart.domain.actors import Role
from fediart.media.sample import draw_sample
from fediart.studio.publish_work import Draft, start_draft
from fediart.web.gate import GATE_POLICY
from fediart.web.security import FILE_POLICY, PAGE_POLICY
from tests.addresses import filled, parameters, route_table
from tests.judged import a_moderator
from tests.people import people_of
from tests.waiting import until
from tests.world import a_world

ALWAYS = {
    "x-robots-tag": "noai, noimageai, noarchive",
    "tdm-reservation": "1",
    "tdm-policy": "http://localhost:8000/tdm-policy.json",
    "content-usage": "train-ai=n",
    "content-signal": "search=yes, ai-input=no, ai-train=no",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


def _judge(answer: httpx.Response) -> list[str]:
    """What is wrong with the headers of an answer."""
    wrong = [f"{name}: {answer.headers.get(name)}" for name, value in ALWAYS.items() if answer.headers.get(name) != value]
    policy = answer.headers.get("content-security-policy", "")
    if policy not in (PAGE_POLICY, FILE_POLICY, GATE_POLICY):
        wrong.append(f"content-security-policy: {policy}")
    for name in ALWAYS:
        if len([1 for held, _ in answer.headers.multi_items() if held == name]) != 1:
            wrong.append(f"{name} stands there several times")
    licence = '<http://localhost:8000/license.xml>; rel="license"; type="application/rsl+xml"'
    if (licence in answer.headers.get("link", "")) == answer.url.path.startswith("/api/"):
        wrong.append(f"link: {answer.headers.get('link')}")
    if not re.fullmatch(r"[0-9a-f]{16}", answer.headers.get("x-request-id", "")):
        wrong.append("no request id")
    if answer.content and not answer.headers.get("content-type") and answer.status_code != 304:
        wrong.append("no content type")
    if "server" in answer.headers or "x-powered-by" in answer.headers:
        wrong.append("tells its software")
    return wrong


@pytest.mark.row(32)
def test_the_policies_let_no_script_in_that_is_not_ours() -> None:
    for policy in (PAGE_POLICY, FILE_POLICY, GATE_POLICY):
        parts = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
        assert parts["default-src"] == ["'none'"]
        assert parts["frame-ancestors"] == ["'none'"]
        assert "unsafe" not in policy
        assert "http" not in policy
        assert "*" not in policy
    assert "sandbox" in FILE_POLICY
    parts = {part.split()[0]: part.split()[1:] for part in PAGE_POLICY.split(";")}
    assert parts["form-action"] == parts["script-src"] == parts["style-src"] == ["'self'"]
    assert parts["base-uri"] == ["'none'"]


@pytest.mark.anyio
@pytest.mark.row(32)
async def test_every_route_says_it_to_everybody_with_every_method(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        mira, olga = await people.person("mira"), await a_moderator(people, "olga", Role.OWNER)
        media = await world.upload(draw_sample(96, 64))
        work = (await world.client.post("/api/v1/statuses", json={"status": "x #oil", "media_ids": [media["id"]]})).json()["id"]
        await until(lambda: _answers(world.stranger, f"/@mira/{work}"))
        picture = (await world.client.get(f"/api/v1/media/{media['id']}")).json()["url"].partition("/media/")[2]
        draft = str(await start_draft(world.instance, world.artist, Draft("x")))
        named = {"/media/{name:path}": [picture, "ab/nothing.jpg"], "/static/{name}": ["fediart.css", "nothing.css"]}
        values = {
            "name": ["mira", "nobody"], "username": ["mira", "nobody"], "id": [work, draft, media["id"], "1"],
            "work_id": [work, "1"], "file_id": ["1"], "quote_id": ["1"], "quoting_id": ["1"], "number": ["1", "9"],
            "image_id": [media["id"], "1"], "tag": ["oil"], "version": ["2.1", "9"], "verb": ["like"],
        }  # fmt: skip
        stranger = await people.client()
        wrong: dict[str, list[str]] = {}
        statuses, for_the_admin = set(), set()
        for route in route_table(people.app):
            names = {"name": named[route.path]} if route.path in named else {}
            paths = filled(route.path, {**values, **names})
            for path in paths:
                for client in (stranger, mira.browser.http, olga.browser.http, mira.api):
                    methods = {"GET", "HEAD"} if "GET" in (route.methods or ()) else {"POST", "PUT"}
                    for method in sorted(methods):
                        if client is mira.api and not path.startswith("/api/"):
                            continue
                        if method == "HEAD" and client is not stranger:
                            continue
                        if client is olga.browser.http and path != paths[0]:
                            continue
                        answer = await client.request(method, path)
                        statuses.add(answer.status_code)
                        if found := _judge(answer):
                            wrong[f"{method} {path} {answer.status_code}"] = found
                        if "text/html" in answer.headers.get("content-type", "") and "set-cookie" in answer.headers:
                            assert "httponly" in answer.headers["set-cookie"].lower()
                        if client is olga.browser.http and path.startswith("/admin") and method == "GET":
                            for_the_admin.add(answer.status_code)
        assert wrong == {}
        assert 200 in for_the_admin
        assert statuses >= {200, 301, 302, 303, 401, 403, 404, 405, 422}


async def _answers(client: httpx.AsyncClient, path: str) -> bool:
    return (await client.get(path)).status_code == 200


@pytest.mark.anyio
@pytest.mark.row(32)
async def test_errors_and_inboxes_say_it_too(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:

        async def crash(_request: Request) -> Response:
            raise RuntimeError("on purpose")

        inner: Any = people.app
        while not hasattr(inner, "routes"):
            inner = inner._app
        inner.routes.append(Route("/crash", crash))
        inner.routes.append(Route("/api/crash", crash))
        client = await people.client()
        like = {"id": "https://a.example/1", "type": "Like", "actor": "https://a.example/a", "object": "https://b.example/"}
        multipart = {"content-type": "multipart/form-data; boundary=b"}
        cases: list[tuple[str, str, dict[str, Any], int]] = [
            ("GET", "/nothing", {}, 404),
            ("GET", "/api/v1/nothing", {}, 404),
            ("DELETE", "/", {}, 405),
            ("PATCH", "/api/v1/statuses", {}, 405),
            ("OPTIONS", "/api/v1/statuses", {}, 204),
            ("OPTIONS", "/", {}, 405),
            ("BREW", "/", {}, 405),
            ("GET", "/", {"headers": {"host": "evil.example"}}, 421),
            ("GET", "/crash", {}, 500),
            ("GET", "/api/crash", {}, 500),
            ("GET", "/users/nobody", {"headers": {"accept": "application/activity+json"}}, 404),
            ("GET", "/.well-known/webfinger", {}, 400),
            ("GET", "/media/../secret.key", {}, 404),
            ("GET", "/static/..%2f..%2fapp.py", {}, 404),
            ("GET", "/static/app.py", {}, 404),
            (
                "POST",
                "/sign-in",
                {"content": b"x" * 4_000_001, "headers": multipart},
                413,
            ),
            ("POST", "/sign-in", {"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 422),
            ("POST", "/inbox", {"content": b"{}"}, 400),
            ("POST", "/inbox", {"content": b"{", "headers": {"content-type": "application/activity+json"}}, 400),
            (
                "POST",
                "/users/mira/inbox",
                {"json": like},
                401,
            ),
            ("POST", "/inbox", {"content": b"x" * 1_100_000}, 413),
            ("POST", "/inbox", {"content": b"x", "headers": {"content-encoding": "gzip"}}, 415),
            ("GET", "/inbox", {}, 404),
        ]
        for method, path, more, status in cases:
            answer = await client.request(method, path, **more)
            found = _judge(answer)
            assert (answer.status_code, found) == (status, []), (method, path)
            assert "Traceback" not in answer.text
            assert "on purpose" not in answer.text


@pytest.mark.row(32)
@pytest.mark.anyio
async def test_on_https_every_answer_says_that_it_is_to_stay_so_but_where_somebody_before_it_does(tmp_path: Path) -> None:
    async with (
        a_world(tmp_path, jobs=False, **{"instance.url": "https://art.example"}) as world,
        people_of(world.instance) as people,
    ):
        client = await people.client()
        for route in route_table(people.app):
            if "GET" in (route.methods or ()) and not parameters(route.path):
                answer = await client.get(route.path)
                assert answer.headers["strict-transport-security"] == "max-age=31536000", route.path
        for foreign in (await client.get("/nothing"), await client.get("/", headers={"host": "evil.example"})):
            assert foreign.headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.anyio
async def test_pages_are_for_their_reader_alone_and_files_with_their_content_for_ever(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        for path in ("/", "/about", "/home", "/@mira", "/nothing", "/settings/profile", "/sign-in"):
            for client in (world.stranger, mira.browser.http):
                answer = await client.get(path, follow_redirects=True)
                assert answer.headers["cache-control"] == "private, no-store", path
                assert answer.headers["vary"] == "Accept, Cookie"
        page = (await world.stranger.get("/")).text
        (style,) = re.findall(r'href="(/static/fediart\.css\?v=[0-9a-f]+)"', page)
        assert (await world.stranger.get(style)).headers["cache-control"] == "public, max-age=31536000, immutable"
        assert (await world.stranger.get("/static/fediart.css")).headers["cache-control"] == "public, max-age=3600"
        assert (await world.stranger.get("/healthz")).headers["cache-control"] == "no-store"


@pytest.mark.anyio
@pytest.mark.row(32)
async def test_no_page_carries_a_script_or_style_of_its_own(tmp_path: Path) -> None:
    """The policy would stop it; a page that needs it stopped is broken."""
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        draft = await start_draft(world.instance, world.artist, Draft("x"))
        paths = [
            "/",
            "/about",
            "/about/cloak",
            "/sign-in",
            "/home",
            "/@mira",
            "/notifications",
            "/search",
            "/drafts",
            "/tags/oil",
        ]
        paths += [f"/compose/{draft}", "/settings/profile", "/settings/password", "/nothing"]
        for path in paths:
            page = (await mira.browser.get(path)).text
            assert "<html" in page or path == "/"
            assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", page), path
            sources = re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="([^"]+)"', page)
            assert all(source.startswith(("/", "http://localhost:8000/")) for source in sources), path


@pytest.mark.anyio
@pytest.mark.row(31)
async def test_words_from_outside_stay_words_on_every_page(tmp_path: Path) -> None:
    """Names, bio, fields, captions, file names, warnings, search words: none of them becomes an element."""
    attack = """"><img src=x onerror=alert(1)><script>alert(2)</script>'{{7*7}}"""
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        profile = {"name": attack[:100], "bio": attack, "field-name-0": attack, "field-value-0": attack}
        assert (await mira.browser.send("/settings/profile", profile)).status_code == 303
        draft = await start_draft(world.instance, world.artist, Draft("x"))
        page = f"/compose/{draft}"
        files = {"pictures": (attack.replace('"', "'") + ".jpg", draw_sample(96, 64))}
        said = {"text": attack + " #oil @" + attack, "warning": attack, "action": "add"}
        assert (await mira.browser.send(page, said, files=files, page=page)).status_code == 303
        (image,) = re.findall(r'data-image="(\d+)"', (await mira.browser.get(page)).text)
        shown = [(await mira.browser.get(page)).text]
        said = {**said, f"alt-{image}": attack, f"cloak-{image}": "standard", "action": "publish-anyway"}
        sent = await mira.browser.send(page, said, page=page)
        assert sent.status_code == 303
        work = sent.headers["location"].rpartition("/")[2]
        await until(lambda: _answers(world.stranger, f"/@mira/{work}"))
        paths = [f"/@mira/{work}", "/@mira", "/home", "/tags/oil", "/drafts", f"/works/{work}/edit", "/settings/profile"]
        paths += ["/@mira/feed.atom", f"/search?q={attack}", f"/tags/{attack.replace('/', '')}"]
        for path in paths:
            shown.append((await mira.browser.get(path)).text)
        assert all("alert(2)" in text for text in shown[1:3]), "the words are there"
        for text in shown:
            elements = _Elements(text).found
            scripts = [held for name, held in elements if name == "script" and held.get("type") != "application/ld+json"]
            assert [held for held in scripts if not held.get("src", "").startswith("/static/")] == []
            assert "<script>" not in text
            assert [held for name, held in elements if name == "img" and not held.get("src", "").startswith("/")] == []
            assert [held for _, held in elements if any(attribute.startswith("on") for attribute in held)] == []


class _Elements(HTMLParser):
    """What a browser makes of a page: every element with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
