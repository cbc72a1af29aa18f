"""What becomes of deliveries: both signatures, hosts that are away, refuse or want quiet, over days of a simulated clock."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from fediart.activitypub.signatures.verify import SignatureToCheck, Verified, check_signature, read_signature
from fediart.clock import system_clock
from fediart.domain.actors import Role
from fediart.domain.hosts import DAY_MS, Host, wait_ms
from fediart.ids import time_of
from fediart.jobs.crew import lanes_of
from fediart.jobs.runner import running_jobs
from fediart.outbox.announce_work import say
from fediart.outbox.deliver import Sender, claim_deliveries, heard_from, try_now
from fediart.remote.bring_home import bring_actor
from fediart.remote.fetch import fetch_document
from fediart.storage import actors, hosts
from fediart.storage import deliveries as rows
from fediart.storage import tables as t
from fediart.storage.jobs import NEVER
from tests.commands import run_commands
from tests.far_hosts import far_hosts
from tests.far_server import Asked, FarServer, a_far_server
from tests.people import people_of
from tests.test_atomic_outbox import far_follower
from tests.waiting import until
from tests.world import World, a_world

pytestmark = [pytest.mark.anyio, pytest.mark.both_databases]

HOUR_MS = 3600 * 1000
LONG = os.environ.get("FEDIART_LONG") == "1"


class Calendar:
    """A clock that stands, and is set forward."""

    def __init__(self) -> None:
        self.now = system_clock()

    def __call__(self) -> int:
        return self.now


class Post:
    """The world's deliveries, sent by hand: nobody else is at work on them."""

    def __init__(self, world: World) -> None:
        self.world, self.instance = world, world.instance
        self.calendar = Calendar()
        self.instance.clock = self.calendar
        self.sender = Sender(self.instance, "tests", self._pause)
        self.paused = 0.0
        """Seconds that were waited between requests."""
        self._said = 0

    async def _pause(self, seconds: float) -> None:
        self.paused += seconds
        self.calendar.now += int(seconds * 1000)

    async def say(self, *inboxes: str) -> int:
        """Something the artist says. Returns the activity's id."""
        self._said += 1

        def act(db: Connection, now: int) -> int:
            artist = actors.actor_by_id(db, self.world.artist.actor_id)
            assert artist is not None
            said = {"id": f"{artist.uri}#said-{self._said}", "type": "Update", "actor": artist.uri, "object": artist.uri}
            return say(db, said, actor_id=artist.id, inboxes=inboxes, now=now)

        self.calendar.now += 1
        return await self.instance.storage.write(act, self.calendar.now)

    async def send(self) -> int:
        """Whatever is due is tried, once. Returns how many deliveries were claimed."""
        claimed = await claim_deliveries(self.instance, "tests", 96)
        await asyncio.gather(*(self.sender.send_lane(lane) for lane in lanes_of(claimed)))
        return len(claimed)

    async def send_all(self) -> None:
        while await self.send():
            pass

    async def pass_time(self, ms: int) -> None:
        """Live through it: at every moment at which something is due it is tried."""
        end = self.calendar.now + ms
        while True:
            await self.send_all()
            due = await self.next_due()
            if due is None or due > end:
                self.calendar.now = end
                return
            self.calendar.now = max(due, self.calendar.now)

    async def next_due(self) -> int | None:
        def ask(db: Connection) -> int | None:
            tried = select(t.deliveries.c.run_at).where(t.deliveries.c.attempts > 0, t.deliveries.c.run_at < NEVER)
            return db.execute(tried.order_by(t.deliveries.c.run_at).limit(1)).scalar()

        return await self.instance.storage.read(ask)

    async def waiting(self) -> list[Any]:
        return await self.instance.storage.read(lambda db: list(db.execute(select(t.deliveries).order_by(t.deliveries.c.id))))

    async def counts(self, activity_id: int) -> tuple[int, int, int]:
        """(planned, delivered, failed)"""

        def ask(db: Connection) -> tuple[int, int, int]:
            query = select(t.delivery_counts).where(t.delivery_counts.c.activity_id == activity_id)
            row = db.execute(query).one()
            return row.planned, row.delivered, row.failed

        return await self.instance.storage.read(ask)


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    async with a_world(tmp_path / "data", jobs=False) as world:
        yield Post(world)


@pytest.fixture
async def far() -> AsyncIterator[FarServer]:
    async with a_far_server() as opened:
        yield opened


def inbox_of(far: FarServer) -> str:
    return f"{far.url}/inbox"


def nobody(port: int = 9) -> tuple[str, str]:
    """(host, inbox) of a server that is not there."""
    return f"127.0.0.1:{port}", f"http://127.0.0.1:{port}/inbox"


# ------------------------------------------------------------------------------------------------------ two signatures


async def takes_only(post: Post, far: FarServer, form: str) -> Callable[[Asked], int | None]:
    """A server that verifies, and knows one form of signature."""

    def judge(asked: Asked) -> int | None:
        if ("signature-input" in asked.headers) != (form == "rfc9421"):
            return 401
        body = asked.body if asked.method == "POST" else None
        read = read_signature(asked.method, asked.target, asked.headers, body, post.calendar.now, {far.host}, "http")
        assert isinstance(read, SignatureToCheck), read
        owner = post.instance.identifiers.actor_uri("mira") if body is not None else post.instance.identifiers.instance_actor_uri
        assert read.key_id == f"{owner}#main-key"
        pem = keys[owner]
        return None if isinstance(check_signature(read, pem), Verified) else 401

    mira = await post.instance.storage.read(actors.actor_by_id, post.world.artist.actor_id)
    assert mira is not None
    keys = {actor.uri: actor.public_key_pem for actor in (mira, post.instance.instance_actor)}
    return judge


def forms_of(far: FarServer) -> list[str]:
    return ["rfc9421" if "signature-input" in asked.headers else "cavage" for asked in far.asked]


async def test_who_takes_the_new_signature_only_hears_it_at_the_second_knock_and_then_at_the_first(
    post: Post, far: FarServer, tmp_path: Path
) -> None:
    far.judge = await takes_only(post, far, "rfc9421")
    first = await post.say(inbox_of(far))
    await post.send_all()
    assert await post.counts(first) == (1, 1, 0)
    assert forms_of(far) == ["cavage", "rfc9421"]
    await post.say(inbox_of(far))
    await post.send_all()
    assert forms_of(far)[2:] == ["rfc9421"], "it is remembered"
    assert {host.host: host.signature for host in await post.instance.storage.read(hosts.all_hosts)} == {far.host: "rfc9421"}
    far.asked.clear()
    far.judge = await takes_only(post, far, "cavage")
    last = await post.say(inbox_of(far))
    await post.send_all()
    assert await post.counts(last) == (1, 1, 0)
    assert forms_of(far) == ["rfc9421", "cavage"], "who refuses what was remembered is tried the usual way again"
    assert await post.instance.storage.read(hosts.all_hosts) == [], "and there is nothing to remember any more"


async def test_what_was_remembered_of_a_host_outlives_a_restart(tmp_path: Path, far: FarServer) -> None:
    for opened in range(2):
        async with a_world(tmp_path / "data", jobs=False) as world:
            post = Post(world)
            post._said = opened
            far.judge = await takes_only(post, far, "rfc9421")
            await post.say(inbox_of(far))
            await post.send_all()
    assert forms_of(far) == ["cavage", "rfc9421", "rfc9421"]


async def test_who_takes_the_old_signature_never_sees_the_new_one(post: Post, far: FarServer) -> None:
    far.judge = await takes_only(post, far, "cavage")
    for _ in range(3):
        await post.say(inbox_of(far))
    await post.send_all()
    assert forms_of(far) == ["cavage"] * 3


@pytest.mark.parametrize("form", ["cavage", "rfc9421"])
async def test_a_question_is_signed_in_the_form_that_its_server_takes(post: Post, far: FarServer, form: str) -> None:
    far.judge = await takes_only(post, far, form)
    ana = await bring_actor(post.instance.seeker, far.actor("ana").uri)
    assert ana.username == "ana"
    assert forms_of(far) == (["cavage"] if form == "cavage" else ["cavage", "rfc9421"])


async def test_who_checks_an_address_without_its_query_is_asked_once_more_in_that_way(post: Post, far: FarServer) -> None:
    ana = far.actor("ana")
    far.serve("/outbox", {"id": f"{far.url}/outbox?page=1", "type": "OrderedCollectionPage"})

    def _is_bare(asked: Asked) -> bool:
        read = read_signature(
            asked.method, asked.target.split("?")[0], asked.headers, None, post.calendar.now, {far.host}, "http"
        )
        pem = post.instance.instance_actor.public_key_pem
        return isinstance(read, SignatureToCheck) and isinstance(check_signature(read, pem), Verified)

    far.judge = lambda asked: None if _is_bare(asked) else 401
    page = await fetch_document(post.instance.client, f"{far.url}/outbox?page=1", post.instance.sign_as_instance)
    assert page["type"] == "OrderedCollectionPage"
    assert [asked.target for asked in far.asked] == ["/outbox?page=1"] * 2, "the address itself stays whole"
    assert forms_of(far) == ["cavage", "cavage"]
    far.asked.clear()
    assert (await bring_actor(post.instance.seeker, ana.uri)).username == "ana"
    assert len(far.asked) == 1


@pytest.mark.parametrize("status", [400, 401])
async def test_who_refuses_both_signatures_is_asked_twice_and_nothing_is_remembered(
    post: Post, far: FarServer, status: int
) -> None:
    far.inbox_status = status
    said = await post.say(inbox_of(far))
    await post.send()
    assert forms_of(far) == ["cavage", "rfc9421"]
    assert post.instance.hosts.of(far.host) == Host(far.host)
    assert await post.counts(said) == (1, 0, 1 if status == 400 else 0)


async def test_a_server_that_breaks_on_the_new_signature_is_not_taken_to_want_it(post: Post, far: FarServer) -> None:
    far.judge = lambda asked: 500 if "signature-input" in asked.headers else 401
    await post.say(inbox_of(far))
    await post.send()
    assert post.instance.hosts.of(far.host).signature == ""


# ------------------------------------------------------------------------------------------------------------ outcomes


@pytest.mark.row(56)
@pytest.mark.parametrize("status", [403, 404, 410, 501])
async def test_a_final_no_is_final_and_is_told_with_its_reason(post: Post, far: FarServer, status: int) -> None:
    far.inbox_status = status
    said = await post.say(inbox_of(far))
    await post.pass_time(9 * DAY_MS)
    assert len(far.received()) == 1
    assert await post.counts(said) == (1, 0, 1)
    (told,) = await post.instance.storage.read(rows.outcomes, failed=True)
    assert (told.host, told.failed, told.problem, told.verb) == (far.host, 1, f"answered {status}", "Update")


@pytest.mark.row(56)
@pytest.mark.parametrize(("status", "asked", "waits"), [(429, "7200", 7_200), (503, "7200", 7_200), (429, "9999999999", 86_400)])
async def test_who_asks_us_to_wait_is_left_alone_for_so_long_but_not_longer_than_a_day(
    post: Post, far: FarServer, status: int, asked: str, waits: int
) -> None:
    far.inbox_status, far.inbox_headers = status, {"retry-after": asked}
    begin = post.calendar.now
    for _ in range(3):
        await post.say(inbox_of(far))
    await post.send_all()
    assert len(far.received()) == 1, "those behind wait too"
    far.inbox_status, far.inbox_headers = 202, {}
    await post.pass_time((waits - 5) * 1000)
    assert len(far.received()) == 1
    await post.pass_time(60_000)
    assert len(far.received()) == 4
    assert post.calendar.now - begin < (waits + 120) * 1000


async def test_who_wants_quiet_is_not_asked_by_those_that_wait_by_themselves_either(post: Post, far: FarServer) -> None:
    """A delivery that one host refuses again and again does not hold up the others, but it is to the same host."""
    far.inbox_status = 500
    await post.say(inbox_of(far))
    for _ in range(4):
        await post.send_all()
        post.calendar.now += HOUR_MS
    (aside,) = await post.waiting()
    assert aside.lane != far.host, "it waits by itself now"
    far.inbox_status, far.inbox_headers = 429, {"retry-after": "86400"}
    await post.say(inbox_of(far))
    heard = len(far.received())
    await post.send()
    await post.pass_time(23 * HOUR_MS)
    assert len(far.received()) - heard == 1


@pytest.mark.row(55)
async def test_at_no_time_are_two_requests_of_ours_at_one_host(post: Post, far: FarServer) -> None:
    far.inbox_status = 500
    for _ in range(3):
        await post.say(inbox_of(far))
        for _ in range(4):
            await post.send_all()
            post.calendar.now += HOUR_MS
    assert len({row.lane for row in await post.waiting()}) == 3
    far.hold_s, far.most_at_once = 0.02, 0
    far.inbox_status = 202
    await post.say(inbox_of(far), f"{far.url}/users/ana/inbox")
    await post.pass_time(HOUR_MS)
    assert await post.waiting() == []
    assert far.most_at_once == 1


# ---------------------------------------------------------------------------------------------------------- dead hosts


@pytest.mark.row(56)
def test_a_delivery_is_tried_for_more_than_eight_days() -> None:
    age, tries = 0, 1
    while (wait := wait_ms(tries, age, 0.5, is_dead=False)) is not None:
        age, tries = age + wait, tries + 1
    assert 8 * DAY_MS <= age < 9 * DAY_MS
    assert 200 < tries < 300


@pytest.mark.row(55)
async def test_hosts_that_hang_hold_up_nobody_else_and_have_one_request_in_hand_each(post: Post) -> None:
    hosts, inboxes = (50, 20) if LONG else (10, 6)
    with far_hosts(hosts, hold_s=0.005) as far:
        everyone = [f"{actor}/inbox" for actor in far.actors(inboxes)]
        far.hanging = {inbox for inbox in everyone if any(inbox.startswith(f"{url}/") for url in far.urls[: hosts // 5])}
        await post.say(*everyone)
        async with running_jobs(post.instance):
            wanted = set(everyone) - far.hanging
            await until(lambda: wanted <= {item.inbox for item in far.received})
        assert far.most_at_once == 1


@pytest.mark.row(56)
async def test_a_host_that_is_away_for_good_is_tried_less_and_less_and_its_deliveries_end(post: Post) -> None:
    name, inbox = nobody()
    first = await post.say(inbox)
    await post.pass_time(2 * DAY_MS)
    second = await post.say(inbox)
    tries = (await post.waiting())[0].attempts
    assert 50 < tries < 80, "every three quarters of an hour"
    await post.pass_time(6 * DAY_MS - HOUR_MS)
    assert await post.counts(first) == (1, 0, 0), "eight days are not over"
    assert not post.instance.hosts.of(name).is_dead
    await post.pass_time(2 * HOUR_MS)
    host = post.instance.hosts.of(name)
    assert host.is_dead
    assert host.failing_since is not None
    assert await post.counts(first) == (1, 0, 1)
    assert await post.counts(second) == (1, 0, 0), "it is two days younger"
    before = host.failures
    await post.pass_time(HOUR_MS * 21)
    assert post.instance.hosts.of(name).failures - before <= 1, "a dead host is tried once a day"
    await post.pass_time(3 * DAY_MS)
    assert await post.counts(second) == (1, 0, 1)
    assert await post.waiting() == []
    assert post.instance.hosts.of(name).failures - before <= 4


@pytest.mark.row(57)
async def test_a_host_that_comes_back_hears_everything_in_order_and_is_well_again(post: Post, far: FarServer) -> None:
    far.inbox_status = 502
    said = [await post.say(inbox_of(far)) for _ in range(3)]
    await post.pass_time(7 * DAY_MS + 20 * HOUR_MS)
    far.inbox_status = 202
    far.asked.clear()
    await post.pass_time(HOUR_MS)
    assert [await post.counts(one) for one in said] == [(1, 1, 0)] * 3
    assert [document["id"].rpartition("-")[2] for document in far.received()] == ["1", "2", "3"]
    assert post.instance.hosts.of(far.host) == Host(far.host)
    assert await post.instance.storage.read(hosts.all_hosts) == []


@pytest.mark.row(56)
async def test_a_dead_host_that_speaks_is_worth_one_try_an_hour_and_a_live_one_none(post: Post, far: FarServer) -> None:
    far.inbox_status = 502
    await post.say(inbox_of(far))
    await post.pass_time(DAY_MS)
    failures, due = post.instance.hosts.of(far.host).failures, await post.next_due()
    assert not post.instance.hosts.of(far.host).is_dead
    await heard_from(post.instance, far.host)
    assert (post.instance.hosts.of(far.host).failures, await post.next_due()) == (failures, due), "it lives: nothing changes"
    await post.say(inbox_of(far))
    await post.pass_time(7 * DAY_MS + HOUR_MS)
    assert post.instance.hosts.of(far.host).is_dead
    tries = len(far.received())
    for _ in range(5):
        await heard_from(post.instance, far.host)
        await post.send_all()
    assert len(far.received()) == tries + 1
    assert post.instance.hosts.of(far.host).is_dead, "who speaks can perhaps not hear"
    post.calendar.now += HOUR_MS
    far.inbox_status = 202
    await heard_from(post.instance, far.host)
    await post.send_all()
    assert len(far.received()) == tries + 2
    assert await post.waiting() == []
    assert not post.instance.hosts.of(far.host).is_failing


async def test_a_verified_activity_of_a_dead_host_is_what_lets_it_be_tried(post: Post, far: FarServer) -> None:
    ana = far.actor("ana")
    far.inbox_status = 502
    await post.say(inbox_of(far))
    await post.pass_time(DAY_MS)
    await post.say(inbox_of(far))
    await post.pass_time(7 * DAY_MS + HOUR_MS)
    tries, activity = len(far.received()), ana.activity("Follow", post.instance.identifiers.actor_uri("mira"))
    forged = await ana.says(post.world, activity, key=ana.number + 1, at=post.calendar.now)
    assert forged.status_code == 401
    assert await post.send() == 0
    assert (await ana.says(post.world, activity, at=post.calendar.now)).status_code in (202, 401)
    post.calendar.now += 11 * 60_000  # a forged word in her name keeps her key from being asked for so long
    assert (await ana.says(post.world, activity, at=post.calendar.now)).status_code == 202
    await post.send_all()
    assert len(far.received()) == tries + 1


# ---------------------------------------------------------------------------------------------------- who has it, told


async def test_a_delivery_says_to_whom_it_went_and_when_and_who_waits_and_why(post: Post, far: FarServer) -> None:
    _, away = nobody()
    said = await post.say(inbox_of(far), away)
    await post.send()
    told = {one.host: one for one in await post.instance.storage.read(rows.outcomes)}
    assert told[far.host].delivered == 1
    assert told[far.host].at == post.calendar.now
    assert told["127.0.0.1:9"].waiting == 1
    assert told["127.0.0.1:9"].problem == "The other server cannot be reached."
    assert (told["127.0.0.1:9"].next_at or 0) > post.calendar.now
    assert await post.counts(said) == (2, 1, 0)
    (waiting,) = await post.instance.storage.read(rows.waiting_hosts)
    assert (waiting.host, waiting.count, waiting.attempts) == ("127.0.0.1:9", 1, 1)


async def test_the_command_tells_and_tries_again(post: Post, tmp_path: Path, far: FarServer) -> None:
    name, away = nobody()
    await post.say(inbox_of(far), away)
    await post.send()
    options = ["--data", str(tmp_path / "data")]

    asked: list[tuple[str, ...]] = [(), ("--host", far.host), ("--failed",), ("--retry", name)]
    ran = await asyncio.to_thread(run_commands, [["deliveries", *options, *more] for more in asked])
    assert [one.status for one in ran] == [0, 0, 0, 0], ran
    waiting, here, failed, again = (one.told for one in ran)
    assert waiting.startswith("1 delivery wait")
    assert "127.0.0.1:9: 1, failing since" in waiting
    assert f"Update → {far.host}: delivered" in here
    assert "Nothing failed." in failed
    assert "1 delivery" in again
    (row,) = await post.waiting()
    assert row.run_at <= system_clock()


async def test_try_again_now_is_obeyed_also_where_quiet_was_asked_for(post: Post, far: FarServer) -> None:
    far.inbox_status, far.inbox_headers = 429, {"retry-after": "80000"}
    await post.say(inbox_of(far))
    await post.send()
    far.inbox_status, far.inbox_headers = 202, {}
    assert await try_now(post.instance, far.host) == 1
    await post.send()
    assert await post.waiting() == []


async def test_ends_are_told_for_thirty_days_and_the_count_for_good(post: Post, far: FarServer) -> None:
    said = await post.say(inbox_of(far))
    await post.send()
    await post.instance.storage.write(rows.forget_ends, post.calendar.now + 1)
    assert await post.instance.storage.read(rows.outcomes) == []
    assert await post.counts(said) == (1, 1, 0)
    assert time_of(said) <= post.calendar.now


async def test_an_artist_sees_on_her_work_who_does_not_have_it_and_why(post: Post, far: FarServer) -> None:
    instance = post.instance
    _, away = nobody()

    def followers(db: Connection) -> None:
        for inbox in (f"{far.url}/users/ana/inbox", away, f"{far.url}/users/bo/inbox"):
            far_follower(db, post.world.artist.actor_id, inbox, post.calendar.now)

    await instance.storage.write(followers)
    work = (await post.world.client.post("/api/v1/statuses", data={"status": "evening"})).json()["id"]
    far.judge = lambda asked: 410 if "/bo/" in asked.target else None
    await post.send()
    async with people_of(instance) as people:
        mira = await people.person("mira")
        page = (await mira.browser.get(f"/works/{work}", follow_redirects=True)).text
        assert "Delivered to 1 of 3 servers, 1 waits, 1 did not take it." in page
        told = page.split("Who does not have it")[1].split("</details>")[0]
        assert "<strong>127.0.0.1:9</strong>: The other server cannot be reached; next try in less than a minute" in told
        assert f"<strong>{far.host}</strong>: answered 410" in told
        stranger = (await post.world.stranger.get(f"/@mira/{work}")).text
        assert "Who does not have it" not in stranger
        assert "127.0.0.1:9" not in stranger


async def test_an_admin_sees_who_fails_and_tries_again(post: Post) -> None:
    name, away = nobody()
    await post.say(away)
    await post.send()
    async with people_of(post.instance) as people:
        mira = await people.person("mira")
        await post.instance.storage.write(
            lambda db: db.execute(update(t.accounts).where(t.accounts.c.id == mira.account.id).values(role=Role.ADMIN))
        )
        page = (await mira.browser.get("/admin/deliveries")).text
        assert "1 delivery waits for 1 server" in page
        assert "The other server cannot be reached · next try in less than a minute" in page
        assert await post.send() == 0
        form = {"form_token": form_token_of(page), "host": name}
        assert (await mira.browser.http.post("/admin/deliveries", data=form)).status_code == 303
        assert await post.send() == 1
        assert (await mira.browser.http.post("/admin/deliveries", data={"host": name})).status_code in (400, 403)


def form_token_of(page: str) -> str:
    return page.partition('name="form_token" value="')[2].partition('"')[0]
