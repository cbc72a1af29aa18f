"""A name costs money, names under it cost nothing: of one name only so many servers are met in a while."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from fediart.remote import newcomers
from fediart.remote.newcomers import MOST_NEW, WINDOW_MS, Newcomers, registered_name
from tests.far_server import FarServer, a_far_server, artist_uri
from tests.world import a_world

pytestmark = pytest.mark.row(26)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("art.example", "art.example"),
        ("a.b.art.example:8443", "art.example"),
        ("ART.example.", "art.example"),
        ("a.art.co.uk", "art.co.uk"),
        ("art.co.uk", "art.co.uk"),
        ("co.uk", "co.uk"),
        ("a.b.social", "b.social"),
        ("localhost:8000", "localhost"),
        ("127.0.0.1:8000", None),
        ("[2001:db8::1]:443", None),
        ("[2001:db8::1]", None),
    ],
)
def test_the_registered_name_of_a_host_is_told(host: str, name: str | None) -> None:
    assert registered_name(host) == name


def test_of_one_name_ten_new_hosts_are_met_in_five_minutes_and_others_are_not_held_up() -> None:
    met = Newcomers()
    assert [met.admits(f"s{n}.bad.example", n) for n in range(30)] == [True] * MOST_NEW + [False] * 20
    assert met.admits("s3.bad.example", 40), "who was let in stays in"
    assert met.admits("good.other.example", 41)
    assert not met.admits("bad.example:81", 42)
    assert met.admits("s11.bad.example", WINDOW_MS), "the first one's five minutes are over"
    assert not met.admits("s12.bad.example", WINDOW_MS)


def test_what_is_remembered_of_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newcomers, "MOST_NAMES", 5)
    met = Newcomers()
    for number in range(50):
        for host in range(20):
            met.admits(f"s{host}.bad{number}.example", 0)
    held = met._met
    assert len(held) == 5
    assert max(len(hosts) for hosts in held.values()) == MOST_NEW


@pytest.mark.anyio
async def test_a_flood_of_new_names_under_one_is_asked_ten_times_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_far_server() as far, a_world(tmp_path, jobs=False) as world:
        port = far.url.rsplit(":", 1)[1]
        lead_here(monkeypatch)
        named: list[FarServer] = [FarServer(f"http://s{n}.bad.example:{port}") for n in range(15)]
        statuses = []
        for server in named:
            actor = server.actor("x")
            far.answers["/users/x"] = server.answers["/users/x"]
            said = actor.activity("Like", f"{artist_uri(world)}/statuses/1")
            statuses.append((await actor.says(world, said)).status_code)
        assert statuses == [202] * MOST_NEW + [401] * 5
        assert far.times_asked("/users/x") == MOST_NEW
        again = named[0].actor("x")
        assert (await again.says(world, again.activity("Like", f"{artist_uri(world)}/statuses/2"))).status_code == 202


def lead_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name under bad.example is this machine."""
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        is_ours = isinstance(host, str) and host.endswith(".bad.example")
        return real("127.0.0.1" if is_ours else host, port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
