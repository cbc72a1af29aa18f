"""Who is let in, over HTTP: agents that are refused, strangers who ask too often, and what is open to everybody."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from fediart.domain.known_agents import KNOWN, MORE
from fediart.domain.policy import AiPolicy, Enforce, Reserve, RobotsList
from fediart.domain.rates import Rate, rate_of
from fediart.domain.robots import OPEN_PATHS
from fediart.domain.traffic import HOUR_MS, MOST_AGENTS, AgentTraffic, Outcome, Traffic
from fediart.instance import Instance
from fediart.media.sample import draw_sample
from fediart.web.crawlers import LIMIT_NAME, SIGNED_TIMES, Allowance
from fediart.web.security import neighbourhood
from tests.commands import run_command
from tests.fediverse_clients import FEDIVERSE
from tests.people import People, people_of
from tests.waiting import until
from tests.world import World, a_world

pytestmark = pytest.mark.anyio

GPTBOT = {"user-agent": "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)"}
AP = {"accept": "application/activity+json"}
OUTSIDE = ("203.0.113.9", 5)


def enforcing(instance: Instance, level: RobotsList = RobotsList.TRAINING_SEARCH, **enforce: Any) -> None:
    instance.policy = replace(AiPolicy(), reserve=Reserve(robots_list=level), enforce=Enforce(**enforce))


@pytest.fixture
def data(prepared: Path, tmp_path: Path) -> Path:
    """The data folder of a world, for this test alone."""
    shutil.copytree(prepared, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
async def limited(data: Path) -> AsyncIterator[tuple[World, People]]:
    """A world in which strangers may ask five times a minute."""
    async with a_world(data, jobs=False, **{"limits.enabled": True}) as world, people_of(world.instance) as people:
        enforcing(world.instance, rate_limit_anonymous="5/min")
        yield world, people


async def statuses(client: httpx.AsyncClient, path: str, times: int, **request: Any) -> list[int]:
    return [(await client.get(path, **request)).status_code for _ in range(times)]


# -------------------------------------------------------------------------------------------------- refusal by name


async def test_an_agent_is_refused_in_plain_words_but_not_where_the_reservation_is_said(data: Path) -> None:
    async with a_world(data) as world:
        media = await world.upload(draw_sample(96, 64))
        posted = (await world.client.post("/api/v1/statuses", json={"status": "x", "media_ids": [media["id"]]})).json()
        work = f"/@mira/{posted['id']}"

        async def shown() -> bool:
            return (await world.stranger.get(work)).status_code == 200

        await until(shown)
        picture = (await world.client.get(f"/api/v1/media/{media['id']}")).json()["url"].partition(":8000")[2]
        closed = (
            "/",
            "/@mira",
            work,
            picture,
            "/users/mira",
            f"/api/v1/statuses/{posted['id']}",
            "/static/fediart.css",
            "/nothing",
        )
        for path in closed:
            for more in ({}, AP, {"signature": "x"}, {"cookie": "x=y"}):
                answer = await world.stranger.get(path, headers={**GPTBOT, **more})
                assert answer.status_code == 403, path
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["vary"] == "User-Agent"
        assert "GPTBot is not served here" in answer.text
        assert "http://localhost:8000/ai-policy" in answer.text
        assert answer.headers["x-robots-tag"], "a refusal carries what every answer carries"
        for path in ("/robots.txt", *OPEN_PATHS):
            assert (await world.stranger.get(path, headers=GPTBOT)).status_code != 403, path
        robots = await world.stranger.get("/robots.txt", headers=GPTBOT)
        assert (robots.status_code, robots.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        assert robots.headers["cache-control"] == "public, max-age=3600"
        assert "User-agent: GPTBot" in robots.text
        assert robots.content == (await world.stranger.get("/robots.txt")).content


async def test_who_is_no_ai_agent_sees_pages_pictures_and_documents(data: Path) -> None:
    async with a_world(data, jobs=False) as world:
        enforcing(world.instance, RobotsList.ALL)
        others = ("facebookexternalhit/1.1", "Mozilla/5.0 (compatible; Googlebot/2.1)", "FreshRSS/1.2", "curl/8.1", "Mozilla/5.0")
        for user_agent in (*others, *(user_agent for user_agent, _ in FEDIVERSE)):
            for path, more in (("/@mira", {}), ("/users/mira", AP), ("/robots.txt", {}), ("/.well-known/nodeinfo", {})):
                answer = await world.stranger.get(path, headers={"user-agent": user_agent, **more})
                assert answer.status_code == 200, (path, user_agent)
        assert (await world.stranger.get("/", headers={"user-agent": ""})).status_code == 200


async def test_an_adopted_policy_holds_from_the_next_request_on(data: Path) -> None:
    async with a_world(data, jobs=False) as world:
        user = {"user-agent": "ChatGPT-User/1.0"}
        steps: list[tuple[dict[str, Any], int, int]] = [
            ({"level": RobotsList.TRAINING_SEARCH}, 403, 200),
            ({"level": RobotsList.ALL}, 403, 403),
            ({"level": RobotsList.OFF}, 200, 200),
            ({"block_user_agents": False}, 200, 200),
            ({"extra_allowed_agents": ("gptbot",), "extra_blocked_agents": ("ChatGPT-User",)}, 200, 403),
        ]
        for enforce, of_gptbot, of_user in steps:
            enforcing(world.instance, **enforce)
            found = [(await world.stranger.get("/@mira", headers=headers)).status_code for headers in (GPTBOT, user)]
            assert found == [of_gptbot, of_user], enforce


async def test_what_others_deliver_is_not_looked_at_here(data: Path) -> None:
    async with a_world(data, jobs=False) as world:
        answer = await world.stranger.post("/inbox", content=b"{}", headers={**GPTBOT, "content-type": "application/json"})
        assert answer.status_code == 400


async def test_a_list_that_the_admin_loads_holds_in_a_running_server(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_world(data, jobs=False) as world:
        new = {"user-agent": "FutureBot/1.0"}
        assert (await world.stranger.get("/@mira", headers=new)).status_code == 200
        newer = tmp_path / "robots.json"
        names = [agent.name for agent in KNOWN if agent.name != "CCBot"]
        newer.write_text(
            json.dumps({**{name: {} for name in names}, "FutureBot": {"function": "AI Data Scrapers"}, "Reader": {}})
        )
        told = run_command("policy", "agents", "load", str(newer), "--data", str(data))
        assert told.status == 0
        assert "added: FutureBot" in told.told
        assert "removed: CCBot" in told.told
        assert "not used, because others carry this word too: Reader" in told.told
        assert (await world.stranger.get("/@mira", headers=new)).status_code == 200, "the file is not looked at each time"
        monkeypatch.setattr("fediart.web.crawlers.LOOK_AGAIN_S", 0.0)
        assert (await world.stranger.get("/@mira", headers=new)).status_code == 403
        assert (await world.stranger.get("/@mira", headers={"user-agent": "CCBot/2.0"})).status_code == 200
        listed = run_command("policy", "agents", "list", "--data", str(data)).told
        assert "FutureBot" in listed
        assert "not refused: previews of links that people share" in listed
        assert "back" not in run_command("policy", "agents", "reset", "--data", str(data)).told
        world.instance.agents.refresh()
        assert (await world.stranger.get("/@mira", headers=new)).status_code == 200
        assert world.instance.agents.agents == (*KNOWN, *MORE)


async def test_a_broken_list_changes_nothing_and_says_what_is_wrong(data: Path, tmp_path: Path) -> None:
    async with a_world(data, jobs=False) as world:
        broken = tmp_path / "broken.json"
        broken.write_text('{"GPTBot": [], "Mozilla": {}}')
        told = run_command("policy", "agents", "load", str(broken), "--data", str(data))
        assert told.status == 1
        assert "GPTBot: an object with operator and function is expected, not list" in told.told
        assert "Mozilla stands in what nearly every browser says" in told.told
        assert not (data / "agents.json").exists()
        (data / "agents.json").write_bytes(b"\xff\xfe broken by hand")
        world.instance.agents.refresh()
        assert world.instance.agents.agents == (*KNOWN, *MORE)
        assert (await world.stranger.get("/@mira", headers=GPTBOT)).status_code == 403


# ----------------------------------------------------------------------------------------------- the anonymous limit


async def test_a_stranger_who_asks_too_often_hears_so_and_when_to_come_again(limited: tuple[World, People]) -> None:
    _, people = limited
    stranger = await people.client(client=OUTSIDE)
    assert await statuses(stranger, "/about", 6) == [200] * 5 + [429]
    answer = await stranger.get("/@mira")
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 12
    assert LIMIT_NAME in answer.text
    assert "5 requests a minute" in answer.text
    assert "203.0.113.0/24" in answer.text
    assert answer.headers["ratelimit-policy"] == f'"{LIMIT_NAME}";q=5;w=60'
    assert answer.headers["cache-control"] == "no-store"
    for path, more in (("/api/v1/instance", {}), ("/users/mira", AP), ("/.well-known/nodeinfo", {})):
        answer = await stranger.get(path, headers=more)
        assert answer.status_code == 429
        assert LIMIT_NAME in answer.json()["error"]
        assert answer.headers["access-control-allow-origin"] == "*"


async def test_files_reservations_and_preflights_do_not_count(limited: tuple[World, People]) -> None:
    _, people = limited
    stranger = await people.client(client=OUTSIDE)
    for path in ("/media/ab/nothing.jpg", "/static/fediart.css", "/robots.txt", *OPEN_PATHS):
        assert 429 not in await statuses(stranger, path, 20)
    for _ in range(20):
        assert (await stranger.options("/api/v1/statuses")).status_code == 204
    assert await statuses(stranger, "/about", 6) == [200] * 5 + [429]
    assert 429 not in await statuses(stranger, "/media/ab/nothing.jpg", 5)


async def test_neighbours_share_one_limit_and_others_have_their_own(limited: tuple[World, People]) -> None:
    _, people = limited
    one = await people.client(client=("203.0.113.1", 1))
    neighbour = await people.client(client=("203.0.113.250", 1))
    other = await people.client(client=("203.0.114.1", 1))
    assert await statuses(one, "/about", 5) == [200] * 5
    assert await statuses(neighbour, "/about", 1) == [429]
    assert await statuses(other, "/about", 1) == [200]
    six = [await people.client(client=(f"2001:db8:1:{n}::1", 1)) for n in range(6)]
    assert [(await client.get("/about")).status_code for client in six] == [200] * 5 + [429]
    assert await statuses(await people.client(client=("2001:db8:2::1", 1)), "/about", 1) == [200]


async def test_whoever_is_signed_in_is_never_limited_and_a_wrong_cookie_is_no_pass(limited: tuple[World, People]) -> None:
    world, people = limited
    mira = await people.person("mira")
    cookie = "; ".join(f"{name}={value}" for name, value in mira.browser.http.cookies.items())
    stranger = await people.client(client=OUTSIDE)
    assert (await statuses(stranger, "/about", 6))[-1] == 429
    for headers in ({"cookie": cookie}, {"authorization": world.client.headers["authorization"]}):
        assert await statuses(stranger, "/about", 20, headers=headers) == [200] * 20
    name = next(name for name in mira.browser.http.cookies if not name.endswith("-form"))
    other = await people.client(client=("198.51.100.1", 1))
    forged = [await statuses(other, "/about", 1, headers={"cookie": f"{name}=forged{n}"}) for n in range(8)]
    assert forged == [[200]] * 5 + [[429]] * 3
    other = await people.client(client=("198.51.101.1", 1))
    forged = [await statuses(other, "/about", 1, headers={"authorization": f"Bearer forged{n}"}) for n in range(8)]
    assert forged == [[200]] * 5 + [[429]] * 3
    assert await statuses(other, "/about", 1, headers={"cookie": f"{name}={'x' * 5_000}"}) == [429]


async def test_forged_tokens_are_looked_up_in_bounds(limited: tuple[World, People], monkeypatch: pytest.MonkeyPatch) -> None:
    world, people = limited
    asked = 0
    read = world.instance.storage.read

    async def counted(question: Any, *values: Any, **more: Any) -> Any:
        nonlocal asked
        asked += question.__name__ == "grant_of"
        return await read(question, *values, **more)

    monkeypatch.setattr(world.instance.storage, "read", counted)
    stranger = await people.client(client=OUTSIDE)
    for number in range(30):
        await stranger.get("/about", headers={"authorization": f"Bearer forged{number}"})
    assert asked == 5


async def test_a_session_that_ended_counts_again(limited: tuple[World, People], monkeypatch: pytest.MonkeyPatch) -> None:
    world, people = limited
    mira = await people.person("mira")
    headers = {"cookie": "; ".join(f"{name}={value}" for name, value in mira.browser.http.cookies.items())}
    stranger = await people.client(client=OUTSIDE)
    assert await statuses(stranger, "/about", 10, headers=headers) == [200] * 10
    assert (await mira.browser.send("/sign-out")).status_code == 303
    clock = world.instance.clock
    world.instance.clock = lambda: clock() + 6 * 60_000
    assert await statuses(stranger, "/about", 6, headers=headers) == [200] * 5 + [429]


async def test_signed_requests_do_not_count_until_there_are_too_many_to_be_believed(limited: tuple[World, People]) -> None:
    _, people = limited
    server = await people.client(client=OUTSIDE)
    for headers in ({"signature": 'keyId="x"'}, {"signature-input": "sig1=()"}):
        assert 429 not in await statuses(server, "/users/mira", SIGNED_TIMES * 5 // 2, headers={**AP, **headers})
    assert await statuses(server, "/about", 5) == [200] * 5, "they did not use up what strangers have"
    assert await statuses(server, "/users/mira", 1, headers={**AP, "signature": "x"}) == [429]


@pytest.mark.row(29)
async def test_forwarded_addresses_count_only_from_a_proxy_that_is_named(data: Path) -> None:
    settings = {"limits.enabled": True, "server.trusted_proxies": ["127.0.0.1/32"]}
    async with a_world(data, jobs=False, **settings) as world, people_of(world.instance) as people:
        enforcing(world.instance, rate_limit_anonymous="2/min")
        proxy, stranger = await people.client(), await people.client(client=OUTSIDE)
        for address in ("198.51.100.1", "198.51.101.1"):
            assert await statuses(proxy, "/about", 3, headers={"x-forwarded-for": f"10.9.9.9, {address}"}) == [200, 200, 429]
        forged = [await statuses(stranger, "/about", 1, headers={"x-forwarded-for": f"198.51.{n}.1"}) for n in range(3)]
        assert forged == [[200], [200], [429]]


async def test_behind_a_proxy_that_hides_everybody_nobody_is_limited_and_the_log_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the first stranger would use up what all have."""
    settings = {"limits.enabled": True, "instance.url": "https://art.example"}
    async with a_world(tmp_path, jobs=False, **settings) as world, people_of(world.instance) as people:
        enforcing(world.instance, rate_limit_anonymous="2/min")
        for client, headers in ((("127.0.0.1", 1), {}), (("10.0.0.7", 1), {"x-forwarded-for": "198.51.100.1"})):
            assert await statuses(await people.client(client=client), "/about", 5, headers=headers) == [200] * 5
        assert capsys.readouterr().out.count("crawlers.no_limit") == 1
        assert await statuses(await people.client(client=OUTSIDE), "/about", 3) == [200, 200, 429]


async def test_the_limit_is_off_when_the_policy_or_the_settings_say_so(data: Path) -> None:
    async with a_world(data, jobs=False, **{"limits.enabled": True}) as world:
        enforcing(world.instance, rate_limit_anonymous="off")
        assert await statuses(world.stranger, "/about", 10) == [200] * 10
    async with a_world(data, jobs=False) as world:
        enforcing(world.instance, rate_limit_anonymous="1/min")
        assert await statuses(world.stranger, "/about", 10) == [200] * 10


def test_an_allowance_gives_all_at_once_then_evenly_and_forgets_the_oldest_keys() -> None:
    now = 0.0
    allowance = Allowance(Rate(6, 60, ""), keys=100, now=lambda: now)
    assert [allowance.take("a") for _ in range(6)] == [0.0] * 6
    assert allowance.take("a") == pytest.approx(10)
    now = 9.0
    assert allowance.take("a") == pytest.approx(1), "a refused request costs nothing"
    now = 10.0
    assert allowance.take("a") == 0.0
    assert allowance.take("a") == pytest.approx(10)
    now = 1_000.0
    assert [allowance.take("a") for _ in range(7)][5:] == [0.0, pytest.approx(10)], "no more is saved up than one period's"
    for number in range(1_000):
        allowance.take(f"key {number}")
    assert len(allowance._free_at) == 100
    assert allowance.take("a") == 0.0


def test_rates_and_networks_are_read_as_they_are_written() -> None:
    assert rate_of("120/min") == Rate(120, 60, "120 requests a minute")
    assert rate_of("5/s") == Rate(5, 1, "5 requests a second")
    assert rate_of("1000/h") == Rate(1000, 3600, "1000 requests an hour")
    assert [rate_of(text) for text in ("off", "", "0/min", "x/min", "1/day", "9999999/s")] == [None] * 6
    assert neighbourhood("203.0.113.77") == neighbourhood("::ffff:203.0.113.78") == "203.0.113.0/24"
    assert neighbourhood("2001:db8:7:8::9") == "2001:db8:7::/48"
    assert len(neighbourhood("x" * 10_000)) == 100


# ----------------------------------------------------------------------------------------------------- the last day


async def test_the_last_day_is_counted_by_agent_and_never_by_person(limited: tuple[World, People]) -> None:
    world, people = limited
    stranger = await people.client(client=OUTSIDE)
    user = {"user-agent": "ChatGPT-User/1.0 (private words)"}
    assert await statuses(stranger, "/about", 3, headers=GPTBOT) == [403] * 3
    assert (await stranger.get("/robots.txt", headers=GPTBOT)).status_code == 200
    assert await statuses(stranger, "/about", 6, headers=user) == [200] * 5 + [429]
    await stranger.get("/media/ab/x.jpg", headers={"user-agent": "somebody's own reader"})
    assert world.instance.traffic.last_day() == [
        AgentTraffic("ChatGPT-User", seen=6, refused=0, limited=1),
        AgentTraffic("GPTBot", seen=4, refused=3, limited=0),
    ]


def test_counts_run_out_after_a_day_and_are_bounded() -> None:
    now = 1_000 * HOUR_MS
    traffic = Traffic(lambda: now)
    traffic.count("GPTBot", Outcome.REFUSED)
    now += 23 * HOUR_MS
    traffic.count("GPTBot", Outcome.ALLOWED)
    assert traffic.last_day() == [AgentTraffic("GPTBot", 2, 1, 0)]
    now += HOUR_MS
    assert traffic.last_day() == [AgentTraffic("GPTBot", 1, 0, 0)]
    for hour in range(100):
        now += HOUR_MS
        traffic.count(f"Bot{hour}", Outcome.LIMITED)
    assert len(traffic._hours) == 24
    assert len(traffic.last_day()) == 24
    for number in range(MOST_AGENTS + 100):
        traffic.count(f"Name{number}", Outcome.ALLOWED)
    assert len(traffic._hours[now // HOUR_MS]) == MOST_AGENTS
