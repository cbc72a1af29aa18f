"""The page that asks a browser for work: over HTTP as a text browser does it, and in a real Chromium."""

from __future__ import annotations

import asyncio
import html
import os
import re
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, sync_playwright
from starlette.datastructures import Headers

from fediart.domain.policy import AiPolicy, Enforce, ProofOfWork
from fediart.errors import BadInput, TooMany
from fediart.instance import Instance
from fediart.web.gate import (
    BITS,
    CHALLENGE_S,
    GATE_POLICY,
    MOST_OF_A_NETWORK,
    PASS_S,
    WAIT_S,
    Gate,
    is_for_browsers,
    is_solved,
    pass_cookie,
)
from tests.chromium import chromium
from tests.fediverse_clients import FEDIVERSE
from tests.people import People, people_of
from tests.servers import SETTINGS, start_server
from tests.world import World, a_world

pytestmark = pytest.mark.anyio

AXE = Path(__file__).parent / "peer" / "node_modules" / "axe-core" / "axe.min.js"
FIREFOX = {
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "accept": "text/html,*/*;q=0.8",
}
LYNX = {"user-agent": "Mozilla/5.0 (Lynx 2.9) like a browser without scripts", "accept": "text/html"}
NET = "203.0.113.0/24"


class Time:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def __call__(self) -> int:
        return self.ms

    def pass_(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


def gated(instance: Instance, proof_of_work: ProofOfWork = ProofOfWork.ALWAYS) -> None:
    instance.policy = replace(AiPolicy(), enforce=Enforce(proof_of_work=proof_of_work))


@pytest.fixture
def data(prepared: Path, tmp_path: Path) -> Path:
    """The data folder of a world, for this test alone."""
    shutil.copytree(prepared, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
async def place(data: Path) -> AsyncIterator[tuple[World, People, Time]]:
    async with a_world(data, jobs=False) as world:
        gated(world.instance)
        clock = Time()
        world.instance.clock = clock
        async with people_of(world.instance) as people:
            yield world, people, clock


def fields(page: str) -> dict[str, str]:
    """The hidden fields of the page's form, as a browser sends them."""
    found: dict[str, str] = {}

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            held = dict(attrs)
            if tag == "input" and held.get("type") == "hidden":
                found[str(held["name"])] = held["value"] or ""

    Reader().feed(page)
    return {name: found[name] for name in ("challenge", "next", "nonce")}


def counted(page: str) -> str:
    """The answer, as a person counts it."""
    words = "zero one two three four five six seven eight nine".split()  # noqa: SIM905
    found = re.search(r"How much is (\w+) and (\w+)\?", page)
    assert found
    return str(words.index(found[1]) + words.index(found[2]))


def solved(challenge: str) -> str:
    return next(str(number) for number in range(1 << 26) if is_solved(challenge, str(number)))


# ---------------------------------------------------------------------------------------------------- who is asked


async def test_a_browser_is_asked_once_and_only_for_pages(place: tuple[World, People, Time]) -> None:
    _, people, _ = place
    browser = await people.client(headers=FIREFOX)
    for path in ("/", "/@mira", "/tags/oil?x=1", "/nothing", "/search?q=a"):
        answer = await browser.get(path)
        assert answer.status_code == 429, path
        assert "One moment" in answer.text
        assert answer.headers["cache-control"] == "private, no-store"
        assert answer.headers["content-security-policy"] == GATE_POLICY
        assert fields(answer.text)["next"] == path
        assert (await browser.head(path)).status_code == 429
    free = ("/sign-in", "/robots.txt", "/static/gate.js", "/static/gate-worker.js", "/healthz", "/.well-known/nodeinfo")
    for path in (*free, "/api/v1/instance", "/@mira/feed.atom"):
        assert (await browser.get(path)).status_code == 200, path
    assert (await browser.get("/media/ab/x.jpg")).status_code == 404
    other_kinds = ({"accept": "application/activity+json"}, {"accept": "application/json"}, {"accept": "application/rss+xml"})
    for more in (*other_kinds, {"signature": "x"}, {"signature-input": "x"}):
        assert (await browser.get("/@mira", headers=more)).status_code == 200, more


async def test_programs_that_say_what_they_are_are_never_asked(place: tuple[World, People, Time]) -> None:
    _, people, _ = place
    client = await people.client()
    others = [
        "curl/8.1",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "facebookexternalhit/1.1",
        "",
    ]
    for user_agent in others + [user_agent for user_agent, _ in FEDIVERSE]:
        answer = await client.get("/@mira", headers={"user-agent": user_agent, "accept": "text/html"})
        assert answer.status_code == 200, user_agent


async def test_nobody_is_asked_when_it_is_off_and_that_is_the_default(data: Path) -> None:
    async with a_world(data, jobs=False) as world:
        assert world.instance.policy.enforce.proof_of_work == ProofOfWork.OFF
        assert (await world.stranger.get("/@mira", headers=FIREFOX)).status_code == 200


async def test_whoever_is_signed_in_is_not_asked_but_a_forged_cookie_is(place: tuple[World, People, Time]) -> None:
    _, people, _ = place
    mira = await people.person("mira")
    assert (await mira.browser.get("/home", headers=FIREFOX)).status_code == 200
    name = next(name for name in mira.browser.http.cookies if not name.endswith("-form"))
    stranger = await people.client(headers=FIREFOX)
    assert (await stranger.get("/@mira", headers={"cookie": f"{name}=forged"})).status_code == 429
    browser = await people.browser(headers=FIREFOX)
    assert (await browser.sign_in("mira")).status_code == 303, "signing in is a way in without the work"
    assert (await browser.get("/home")).status_code == 200


# ------------------------------------------------------------------------------------------------------- ways through


async def test_the_work_earns_a_pass_for_a_day_and_leads_on(place: tuple[World, People, Time]) -> None:
    world, people, clock = place
    browser = await people.client(headers=FIREFOX)
    form = fields((await browser.get("/@mira?a=b%20c")).text)
    answer = await browser.post("/gate", data={**form, "nonce": solved(form["challenge"])})
    assert (answer.status_code, answer.headers["location"]) == (303, "/@mira?a=b%20c")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(pass_cookie(world.instance) + "=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert (await browser.get("/@mira")).status_code == 200
    assert (await browser.get("/gate?next=/about")).headers["location"] == "/about"
    clock.pass_(PASS_S + 1)
    assert (await browser.get("/@mira")).status_code == 429


async def test_without_scripts_a_wait_and_a_question_lead_in(place: tuple[World, People, Time]) -> None:
    """As a text browser does it: it sends the form as it stands, and what was typed."""
    _, people, clock = place
    lynx = await people.client(headers=LYNX)
    page = (await lynx.get("/@mira")).text
    sent = {**fields(page), "answer": counted(page)}
    quick = await lynx.post("/gate", data=sent)
    assert quick.status_code == 429
    assert f"Please wait {WAIT_S} more seconds" in html.unescape(quick.text)
    assert fields(quick.text) == fields(page), "the same question: nothing is lost"
    clock.pass_(WAIT_S)
    wrong = await lynx.post("/gate", data={**sent, "answer": "77"})
    assert "That is not the sum" in wrong.text
    assert "data-stopped" in wrong.text, "a script does not send it again and again"
    answer = await lynx.post("/gate", data=sent)
    assert (answer.status_code, answer.headers["location"]) == (303, "/@mira")
    assert (await lynx.get("/@mira")).status_code == 200


async def test_an_answer_may_be_a_word(place: tuple[World, People, Time]) -> None:
    _, people, clock = place
    lynx = await people.client(headers=LYNX)
    page = (await lynx.get("/")).text
    clock.pass_(WAIT_S)
    word = "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen"
    said = " " + word.split()[int(counted(page)) - 2].title() + ". "
    assert (await lynx.post("/gate", data={**fields(page), "answer": said})).status_code == 303


async def test_a_challenge_is_redeemed_once_whoever_sends_it_again(place: tuple[World, People, Time]) -> None:
    _, people, clock = place
    browser = await people.client(headers=FIREFOX)
    page = (await browser.get("/@mira")).text
    form = fields(page)
    sent = {**form, "nonce": solved(form["challenge"])}
    others = [await people.client(headers=FIREFOX) for _ in range(5)]
    answers = await asyncio.gather(*(client.post("/gate", data=sent) for client in [browser, *others]))
    assert sorted(answer.status_code for answer in answers) == [303] + [429] * 5
    again = await others[0].post("/gate", data=sent)
    assert "This page was used already" in again.text
    assert fields(again.text)["challenge"] != form["challenge"], "another one is given"
    clock.pass_(WAIT_S)
    assert (await others[0].post("/gate", data={**form, "answer": counted(page)})).status_code == 429


@pytest.mark.parametrize("nonce", ["x", "-1", "1" * 21, "٣", "1e5", "0x1f"])
async def test_a_calculation_that_is_wrong_or_none_earns_nothing(place: tuple[World, People, Time], nonce: str) -> None:
    _, people, _ = place
    browser = await people.client(headers=FIREFOX)
    form = fields((await browser.get("/")).text)
    answer = await browser.post("/gate", data={**form, "nonce": nonce})
    assert answer.status_code == 429
    assert "did not come out right" in answer.text
    assert "set-cookie" not in answer.headers


async def test_junk_is_answered_with_a_new_page(place: tuple[World, People, Time]) -> None:
    _, people, _ = place
    browser = await people.client(headers=FIREFOX)
    for junk in ({}, {"challenge": "x" * 100_000}, {"challenge": "é.1.x", "answer": "\x00"}, {"next": "//evil.example"}):
        answer = await browser.post("/gate", data=junk)
        assert answer.status_code == 429
        assert fields(answer.text)["next"] == "/"
    for away in ("//evil.example", "/\\evil.example", "https://evil.example", "/gate?next=/gate", "/\r\nx", "javascript:x"):
        page = await browser.get("/gate", params={"next": away})
        assert fields(page.text)["next"] == "/", away


async def test_passes_and_challenges_are_worth_nothing_elsewhere_or_after_their_time(place: tuple[World, People, Time]) -> None:
    world, _, clock = place
    gate = Gate(world.instance)
    challenge = gate.challenge(NET)
    nonce = solved(challenge.text)
    with pytest.raises(BadInput, match="made for another connection"):
        gate.redeem(challenge.text, "198.51.100.0/24", nonce=nonce, answer="")
    with pytest.raises(BadInput, match="made for another connection"):
        Gate(world.instance).redeem(challenge.text, NET, nonce=nonce, answer="")
    with pytest.raises(BadInput, match="made for another connection"):
        gate.redeem(challenge.text[:-1] + ("1" if challenge.text.endswith("0") else "0"), NET, nonce=nonce, answer="")
    cookie = gate.redeem(challenge.text, NET, nonce=nonce, answer="")
    assert gate.lets_pass(cookie, NET)
    assert Gate(world.instance).lets_pass(cookie, NET), "a restart does not ask everybody again"
    assert not gate.lets_pass(cookie, "198.51.100.0/24")
    until, _, mac = cookie.partition(".")
    for forged in (f"{int(until) + 1}.{mac}", f"{until}.", until, "", ".", "x.y", f"{until}.{'0' * 32}", f"{until}.é", "9" * 500):
        assert not gate.lets_pass(forged, NET), forged
    late = gate.challenge(NET)
    nonce = solved(late.text)
    clock.pass_(CHALLENGE_S + 1)
    with pytest.raises(BadInput, match="open for too long"):
        gate.redeem(late.text, NET, nonce=nonce, answer="")


async def test_what_was_redeemed_is_remembered_in_bounds_and_never_forgotten_too_early(
    place: tuple[World, People, Time], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _, clock = place
    monkeypatch.setattr("fediart.web.gate.is_solved", lambda _text, _nonce: True)
    gate = Gate(world.instance)

    def redeem(network: str) -> str:
        text = gate.challenge(network).text
        gate.redeem(text, network, nonce="1", answer="")
        return text

    texts = [redeem(NET) for _ in range(MOST_OF_A_NETWORK)]
    with pytest.raises(TooMany):
        redeem(NET)
    for _ in range(MOST_OF_A_NETWORK + 1):
        redeem("")
    monkeypatch.setattr("fediart.web.gate.MOST_REDEEMED", 2 * MOST_OF_A_NETWORK + 1 + 3)
    others = [redeem(f"198.51.{number}.0/24") for number in range(3)]
    with pytest.raises(TooMany):
        redeem("198.51.99.0/24")
    with pytest.raises(BadInput, match="used already"):
        gate.redeem(texts[0], NET, nonce="1", answer="")
    clock.pass_(CHALLENGE_S + 1)
    redeem(NET)
    assert len(gate._redeemed) == 1
    assert sum(gate._earned.values()) == 1
    with pytest.raises(BadInput):
        gate.redeem(others[0], "198.51.0.0/24", nonce="1", answer="")


def test_the_paths_that_the_page_on_crawlers_lets_through_are_those_that_we_let_through() -> None:
    text = (Path(__file__).resolve().parents[1] / "docs" / "crawlers.md").read_text()
    found = re.search(r"path_regex: (\S+)", text)
    assert found
    headers = Headers({**FIREFOX})
    free = [
        *("/.well-known/webfinger", "/nodeinfo/2.1", "/users/ana", "/actor/outbox", "/inbox", "/api/v1/instance", "/oauth/token"),
        *("/media/ab/x.jpg", "/static/x.css", "/robots.txt", "/license.xml", "/ai-policy", "/tdm-policy.json", "/healthz"),
    ]
    for path in (*free, "/@ana/feed.atom"):
        assert re.search(found[1], path), path
        assert not is_for_browsers("GET", path, headers), path
    for path in ("/", "/@ana", "/@ana/1", "/tags/oil", "/about"):
        assert not re.search(found[1], path), path
        assert is_for_browsers("GET", path, headers), path


# --------------------------------------------------------------------------------------------------------- under load


async def test_under_load_browsers_are_asked_while_this_process_is_late_and_not_after(data: Path) -> None:
    """Lateness is made as real load makes it: something holds the event loop."""
    async with a_world(data, jobs=False) as world:
        gated(world.instance, ProofOfWork.UNDER_LOAD)

        async def ask() -> int:
            return (await world.stranger.get("/about", headers=FIREFOX)).status_code

        async def become(status: int, hold_s: float) -> None:
            end = time.monotonic() + 30
            while await ask() != status:
                assert time.monotonic() < end, f"it never became {status}"
                time.sleep(hold_s)
                await asyncio.sleep(0.02)

        assert await ask() == 200
        await become(429, 0.4)
        await become(200, 0.0)


# ---------------------------------------------------------------------------------------------------- a real browser


def test_a_real_server_lets_chromium_in_by_itself_without_scripts_by_the_form_and_httpx_for_the_work(tmp_path: Path) -> None:
    shots = Path(os.environ.get("FEDIART_SCREENSHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    server = start_server(tmp_path / "data", settings=SETTINGS + '[ai_policy.enforce]\nproof_of_work = "always"\n')
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
            user_agent = browser.new_page().evaluate("navigator.userAgent").replace("HeadlessChrome", "Chrome")
            phone: dict[str, Any] = {"user_agent": user_agent, "viewport": {"width": 390, "height": 844}}
            desk: dict[str, Any] = {"user_agent": user_agent, "viewport": {"width": 1280, "height": 900}}

            without = browser.new_context(java_script_enabled=False, **phone).new_page()
            without.goto(server.url + "/about")
            opened_at = time.monotonic()

            page = browser.new_context(**desk).new_page()
            problems: list[str] = []
            page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: problems.append(str(error)))
            answer = page.goto(server.url + "/about?from=here")
            assert answer is not None
            assert answer.status == 429
            page.wait_for_selector("#gate", state="detached")
            assert page.url == server.url + "/about?from=here"
            assert [text for text in problems if "429" not in text] == []
            page.goto(server.url + "/about/cloak")
            assert page.query_selector("#gate") is None, "one pass is for all pages"

            for name, view in (("phone", phone), ("desk", desk)):
                _look(browser.new_context(**view).new_page(), server.url + "/about", shots / f"gate-{name}.png")

            with httpx.Client(base_url=server.url, headers=FIREFOX, trust_env=False) as client:
                form = fields(client.get("/about").text)
                led = client.post("/gate", data={**form, "nonce": solved(form["challenge"])}, follow_redirects=True)
                assert (led.status_code, led.url.path) == (200, "/about")

            without.wait_for_timeout(max(0.0, opened_at + WAIT_S + 1 - time.monotonic()) * 1000)
            without.fill("input[name=answer]", counted(without.content()))
            without.click("text=Go on")
            assert without.query_selector("#gate") is None
            assert without.url == server.url + "/about"
            browser.close()
    finally:
        server.stop()
    assert BITS >= 16


def _look(page: Page, url: str, shot: Path) -> None:
    """The page as people see it whose browser cannot do the work: in reach of everybody, and not too wide."""
    page.route("**/gate-worker.js*", lambda route: route.abort())
    page.goto(url)
    page.wait_for_selector("text=did not work in this browser")
    page.screenshot(path=str(shot), full_page=True)
    page.evaluate(AXE.read_text() + "\n;null")
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [violation["id"] for violation in found["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
