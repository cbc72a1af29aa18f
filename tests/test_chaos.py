"""Row 61: the network goes wrong in every way that we could think of: nothing is lost, nothing hangs, nothing stays open."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import ip_network
from pathlib import Path

import pytest

from fediart.activitypub.vocabulary import AS
from fediart.cli.demo import free_port
from fediart.remote.client import open_client
from fediart.remote.deliver import Delivered, Retry, deliver
from fediart.remote.guard import Guard
from tests.chaos import Chaos, Proxy, Trouble, chaos
from tests.far_hosts import far_hosts
from tests.servers import SecureKeeper, running, wait_for
from tests.tls import Authority, a_front, certify, make_authority
from tests.waiting import until


def open_files(process: int | None = None) -> int:
    return len(list(Path(f"/proc/{process or os.getpid()}/fd").iterdir()))


@pytest.mark.anyio
@pytest.mark.row(61)
async def test_a_delivery_through_any_trouble_ends_is_told_apart_and_leaves_nothing_behind() -> None:
    with chaos() as network, far_hosts(1) as far:
        network.dropped = 1.0
        proxy = network.proxy(int(far.urls[0].rpartition(":")[2]))
        client = open_client(Guard((ip_network("127.0.0.0/8"),)), allow_http=True, user_agent="tests")
        inbox = f"{proxy.url}/users/vera/inbox"

        async def send() -> object:
            """Silence is cut as soon as it has been heard; without that it ends after ten seconds."""
            taken = proxy.taken
            sending = asyncio.create_task(deliver(client, inbox, b'{"id": "x"}', lambda *_: {}, 0))
            if trouble == Trouble.SILENT:
                await until(lambda: proxy.taken > taken)
                await asyncio.to_thread(proxy.turn, Trouble.NONE)
            return await sending

        try:
            trouble = Trouble.NONE
            assert isinstance(await send(), Delivered)
            tasks, files = len(asyncio.all_tasks()), open_files()
            for trouble in Trouble:
                await asyncio.to_thread(proxy.turn, trouble)
                outcome = await send()
                if trouble in (Trouble.NONE, Trouble.SLOW):
                    assert outcome == Delivered(202), trouble
                else:
                    assert isinstance(outcome, Retry), trouble
                    assert outcome.host_is_away
                    assert outcome.is_failure
            await asyncio.to_thread(proxy.turn, Trouble.NONE)
            assert isinstance(await send(), Delivered)
            await until(lambda: len(asyncio.all_tasks()) == tasks)
            await until(lambda: abs(open_files() - files) <= 5)
        finally:
            await client.aclose()


@contextlib.contextmanager
def behind(network: Chaos, keeper: SecureKeeper, authority: Authority) -> Iterator[tuple[Proxy, int]]:
    """Whoever looks for the keeper's server finds a proxy, and behind it TLS. With the port of that."""
    inner = free_port()
    with a_front(authority, inner, keeper.side.port):
        yield network.proxy(inner, keeper.front), inner


def hurry(keeper: SecureKeeper, somebody: str) -> None:
    """Time passes: whatever waits for its next try is due, and the server looks at once, because something was asked of it."""
    connection = sqlite3.connect(keeper.side.data / "fediart.sqlite", timeout=20)
    with contextlib.closing(connection), connection:
        connection.execute("UPDATE deliveries SET run_at = 0 WHERE lease = ''")
    keeper.ask("POST", f"/api/v1/accounts/{somebody}/unblock")


def was_tried(keeper: SecureKeeper) -> bool:
    """Has whatever still waits been tried, and come back?"""
    connection = sqlite3.connect(f"file:{keeper.side.data / 'fediart.sqlite'}?mode=ro", uri=True, timeout=20)
    with contextlib.closing(connection):
        return all(attempts and not lease for attempts, lease in connection.execute("SELECT attempts, lease FROM deliveries"))


@pytest.mark.of_the_file
@pytest.mark.row(61)
def test_whatever_goes_wrong_between_two_servers_nothing_is_lost_and_nothing_stays_open(tmp_path: Path) -> None:
    authority = make_authority(tmp_path / "authority")
    wrong = {
        "expired": certify(authority, tmp_path / "expired", "localhost", lasts=datetime.timedelta(minutes=-5)),
        "of another name": certify(authority, tmp_path / "other", "other.example"),
        "by nobody known": make_authority(tmp_path / "unknown"),
    }
    mira, noor = SecureKeeper(tmp_path / "mira", authority), SecureKeeper(tmp_path / "noor", authority, "noor")
    settings = mira.side.data / "config.toml"  # there is one more, whose inbox can be read, and it has no TLS
    settings.write_text(settings.read_text().replace("allow_http = false", "allow_http = true"))
    with chaos() as network, far_hosts(1) as far, contextlib.ExitStack() as stack:
        network.dropped = 0.5
        stack.enter_context(behind(network, mira, authority))
        link, good = stack.enter_context(behind(network, noor, authority))
        fronts = {name: free_port() for name in wrong}
        for name, certified in wrong.items():
            stack.enter_context(a_front(certified, fronts[name], noor.side.port))
        servers = [stack.enter_context(running(mira)), stack.enter_context(running(noor))]
        plain = network.proxy(int(far.urls[0].rpartition(":")[2]))
        vera = f"{plain.url}/users/vera"
        follow = {"@context": AS, "id": f"{vera}#follow", "type": "Follow", "actor": vera, "object": mira.uri}
        assert far.says(mira.client, f"{mira.side.url}/inbox", follow) == 202
        somebody = noor.find(mira.uri)
        noor.ask("POST", f"/api/v1/accounts/{somebody}/follow")
        wait_for("both follow", lambda: far.received and noor.is_following(somebody))
        somebody = mira.find(noor.uri)
        far.received.clear()
        said: list[str] = []

        def came() -> bool:
            home = [item["uri"] for item in noor.ask("GET", "/api/v1/timelines/home", params={"limit": "40"})]
            return home == said[::-1] and {item.document["id"] for item in far.received} == {f"{uri}/activity" for uri in said}

        def say_while(trouble: str, begin: Callable[[], None], end: Callable[[], object], met: Callable[[], bool]) -> None:
            begin()
            said.append(mira.post(f"while it is {trouble}")["uri"])
            wait_for(f"it was met that it is {trouble}", met)
            end()
            wait_for("it was tried", lambda: was_tried(mira))
            hurry(mira, somebody)
            wait_for(f"it is there after all, {trouble} or not", came)

        def turn(trouble: Trouble) -> None:
            link.turn(trouble, backend=good)
            plain.turn(trouble)

        def is_silent() -> bool:
            return link.is_busy and plain.is_busy

        say_while("well", lambda: None, lambda: None, lambda: was_tried(mira))
        files = [open_files(server.process.pid) for server in servers]
        for trouble in [item for item in Trouble if item != Trouble.NONE]:
            met = is_silent if trouble == Trouble.SILENT else lambda: was_tried(mira)
            say_while(trouble, partial(turn, trouble), partial(turn, Trouble.NONE), met)
        for name, port in fronts.items():
            begin = partial(link.turn, Trouble.NONE, backend=port)
            say_while(f"certified {name}", begin, partial(turn, Trouble.NONE), lambda: was_tried(mira))
        for server, before in zip(servers, files, strict=True):
            wait_for("as many open files as before", lambda: abs(open_files(server.process.pid) - before) <= 5)  # noqa: B023
        say_while("restarted", servers[1].kill, noor.start, lambda: was_tried(mira))

        assert len({item.body for item in far.received}) == len(said), "where one came again, it was the same"
        order = list(dict.fromkeys(item.document["id"] for item in far.received))
        assert order == [f"{uri}/activity" for uri in said], "in the order in which they were said"
        assert len(far.received) > len(said), "nothing was said twice: no answer was cut off, and this proves little"
        assert not [keeper for keeper in (mira, noor) if "Traceback" in (keeper.side.data / "server.log").read_text()]
