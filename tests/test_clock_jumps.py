"""The clock of the machine jumps: nothing is tried in crowds, nothing is forgotten, and the order stays."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import fediart
from fediart.domain.hosts import DAY_MS
from fediart.jobs import runner
from fediart.outbox.deliver import LONGEST_WAIT_MS
from tests.far_server import FarServer, a_far_server
from tests.test_deliveries import HOUR_MS, Post, inbox_of
from tests.waiting import until
from tests.world import a_world

pytestmark = [pytest.mark.anyio, pytest.mark.row(60)]


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    async with a_world(tmp_path / "data", jobs=False) as world:
        yield Post(world)


@pytest.fixture
async def far() -> AsyncIterator[FarServer]:
    async with a_far_server() as opened:
        yield opened


def said_to(far: FarServer) -> list[str]:
    return [document["id"].rpartition("-")[2] for document in far.received()]


async def test_a_clock_that_goes_back_under_a_running_server_delays_nothing_that_is_new_and_repeats_nothing(
    post: Post, far: FarServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOOK_AT_CLOCK_S", 0.02)
    async with a_far_server() as away:
        away.inbox_status = 502
        for _ in range(3):
            await post.say(inbox_of(away))
        async with runner.running_jobs(post.instance):
            await until(lambda: away.received())
            for back in (HOUR_MS, DAY_MS):
                # Said in the last moment before it: due at a time that has not come any more.
                await post.say(inbox_of(far), inbox_of(away))
                post.calendar.now -= back
                heard = len(far.received())
                await until(lambda heard=heard: len(far.received()) > heard)  # type: ignore[misc]
            await post.say(inbox_of(far))
            post.instance.wake("delivery")
            await until(lambda: len(far.received()) == 3)
        assert said_to(far) == ["4", "5", "6"]
        assert said_to(away) == ["1"], "it waits for its retry as before"
        away.inbox_status = 202
        away.asked.clear()
        await post.pass_time(LONGEST_WAIT_MS)
        assert said_to(away) == ["1", "2", "3", "4", "5"]


async def test_a_clock_that_was_years_ahead_while_nothing_ran_is_followed_at_the_next_start(post: Post, far: FarServer) -> None:
    right = post.calendar.now
    post.calendar.now += 4_000 * DAY_MS
    far.inbox_status, far.inbox_headers = 503, {"retry-after": "80000"}
    await post.say(inbox_of(far))
    await post.send_all()
    async with a_far_server() as other:
        await post.say(inbox_of(other))
        post.calendar.now = right
        far.inbox_status, far.inbox_headers = 202, {}
        async with runner.running_jobs(post.instance):
            await until(lambda: said_to(other) == ["2"])
        assert len(said_to(far)) == 1
        await post.pass_time(LONGEST_WAIT_MS)
        assert said_to(far) == ["1", "1"]


@pytest.mark.parametrize("ahead", [HOUR_MS, DAY_MS])
async def test_a_clock_that_goes_forward_brings_one_try_for_each_host_and_ends_nothing(
    post: Post, far: FarServer, ahead: int
) -> None:
    far.inbox_status = 502
    for _ in range(5):
        await post.say(inbox_of(far))
    await post.pass_time(6 * HOUR_MS)
    tries = len(far.received())
    post.calendar.now += ahead
    await post.send_all()
    assert len(far.received()) == tries + 1
    assert len(await post.waiting()) == 5
    post.calendar.now -= ahead
    far.inbox_status = 202
    far.asked.clear()
    await post.pass_time(ahead + HOUR_MS)
    assert said_to(far) == ["1", "2", "3", "4", "5"]


LOCAL = {"localtime", "mktime", "today", "utcnow", "utcfromtimestamp", "tzset"}


def test_no_time_here_is_a_local_one() -> None:
    """Summer time begins and ends without anybody here noticing."""
    found = []
    for path in sorted(Path(fediart.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                has_zone = len(node.args) + len(node.keywords) > (node.func.attr == "fromtimestamp")
                if node.func.attr in LOCAL or (node.func.attr in ("now", "fromtimestamp", "astimezone") and not has_zone):
                    found.append(f"{path.name}:{node.lineno}: {node.func.attr}")
    assert found == []
