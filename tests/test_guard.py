"""Where this server connects to, and how long it listens: judged on the dialled address, by a real client over real sockets."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import datetime
import gzip
import ipaddress
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import fediart
from fediart.activitypub.signatures.sign import Form, sign_as
from fediart.activitypub.signatures.verify import SignatureToCheck, Verified, check_signature, read_signature
from fediart.clock import system_clock
from fediart.errors import AddressRefused, BadAnswer, RefusedByRemote, RemoteError, RemoteGone, Unreachable
from fediart.inbox import dispatch
from fediart.outbox.deliver import LANES
from fediart.remote.client import TOTAL_SECONDS, RemoteClient, open_client
from fediart.remote.download import PICTURE_SECONDS, download_file, download_picture
from fediart.remote.fetch import fetch_document, fetch_webfinger, follow, next_url
from fediart.remote.guard import Guard, check_url
from tests.far_server import AP, FORBIDDEN, Canary, FarServer, a_canary, a_far_server, artist_uri, key_pair, settled
from tests.far_server import follow as follow_actor
from tests.waiting import until
from tests.world import World, a_world

HERE = (ipaddress.ip_network("127.0.0.1/32"),)
KEY_ID = "https://art.example/actor#main-key"


@contextlib.asynccontextmanager
async def a_client(*networks: str, allow_http: bool = True) -> AsyncIterator[RemoteClient]:
    client = open_client(
        Guard(tuple(ipaddress.ip_network(text) for text in networks)), allow_http=allow_http, user_agent="fediart tests"
    )
    try:
        yield client
    finally:
        await client.aclose()


def signer(form: Form, method: str, url: str, body: bytes | None) -> dict[str, str]:
    return sign_as(form, method, url, body, KEY_ID, key_pair(1)[0], system_clock())


# --------------------------------------------------------------------------------------------------------- addresses

NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.171",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::a9fe:a9fe",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "2620:4f:8000::1",
    "3fff::1",
    "3fff:fff::",
    "5f00::1",
    "fc00::1",
    "fd00::1",
    "fd12:3456:789a::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "4000::1",
    "e000::1",
    "localhost",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
]
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.0.1",
    "172.32.0.1",
    "192.0.1.1",
    "198.17.0.1",
    "198.20.0.1",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00:1450::1",
    "2001:4860:4860::8888",
    "::ffff:8.8.8.8",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
@pytest.mark.row(15)
def test_an_address_that_is_not_public_is_not_dialled(address: str) -> None:
    assert not Guard().permits(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_dialled(address: str) -> None:
    assert Guard().permits(address)


def test_an_allowed_network_opens_itself_and_nothing_else() -> None:
    guard = Guard(HERE)
    assert guard.permits("127.0.0.1")
    assert guard.permits("::ffff:127.0.0.1")
    assert not any(guard.permits(address) for address in ("127.0.0.2", "::1", "::127.0.0.1", "10.0.0.1", "64:ff9b::7f00:1"))


def test_only_internet_sockets_are_made() -> None:
    with pytest.raises(OSError, match="not a public address"):
        Guard().socket_factory((socket.AF_UNIX, socket.SOCK_STREAM, 0, "", "/run/x"))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://far.example/",
        "file:///etc/passwd",
        "data:text/html,x",
        "gopher://far.example/",
        "javascript:alert(1)",
        "//far.example/",
        "https://",
        "https:///x",
        "https://a@far.example/",
        "https://a:b@far.example/",
        "https://far.example:0/",
        "https://far.example:99999/",
        "https://[::1",
    ],
)
def test_only_web_addresses_are_asked(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(url, allow_http=True)


def test_http_is_asked_only_where_the_settings_allow_it() -> None:
    assert check_url("http://far.example/", allow_http=True)
    with pytest.raises(AddressRefused):
        check_url("http://far.example/", allow_http=False)


SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f.1",
    "0x7f000001",
    "0177.0.0.1",
    "017700000001",
    "①②⑦.0.0.1",
    "１２７.0.0.1",
    "0",
    "0.0.0.0",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
]


@pytest.mark.anyio
@pytest.mark.row(15)
async def test_however_loopback_is_spelled_nothing_is_dialled() -> None:
    async with a_canary("127.0.0.1") as canary, a_client() as client:
        port = canary.url.rsplit(":", 1)[1]
        for name in SPELLINGS:
            with pytest.raises(RemoteError):
                await client.request("GET", f"http://{name}:{port}/")
            assert canary.touched == 0, name
    async with a_canary("127.0.0.1") as canary, a_client("127.0.0.0/8", "0.0.0.0/32") as client:
        port = canary.url.rsplit(":", 1)[1]
        reached = []
        for name in SPELLINGS:
            before = canary.touched
            with contextlib.suppress(RemoteError):
                await client.request("GET", f"http://{name}:{port}/")
            reached += [name] if canary.touched > before else []
        assert len(reached) >= 8, "or the spellings above prove nothing"


@pytest.mark.anyio
async def test_a_refused_address_is_named_as_that() -> None:
    async with a_client() as client:
        with pytest.raises(AddressRefused):
            await client.request("GET", "http://127.0.0.1:9/")


@pytest.mark.anyio
@pytest.mark.row(16)
async def test_of_several_addresses_of_a_name_only_permitted_ones_are_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that answers with both: the guard judges what is dialled, at every dial."""
    real = socket.getaddrinfo
    async with a_canary() as canary, a_far_server() as far, a_client("127.0.0.1/32"):
        far.serve("/x", {})
        good, bad = int(far.url.rsplit(":", 1)[1]), canary.url.split("://")[1].rsplit(":", 1)
        answers = iter(range(1_000_000))

        def resolve(host: Any, port: Any, *args: Any, **more: Any) -> Any:
            if host != "rebind.example":
                return real(host, port, *args, **more)
            number = next(answers)
            address = bad[0].strip("[]")
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            forbidden = (family, socket.SOCK_STREAM, 6, "", (address, int(bad[1]), 0, 0)[: 4 if family == socket.AF_INET6 else 2])
            allowed = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", good))
            return [[forbidden, allowed], [allowed, forbidden], [forbidden]][number % 3]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        outcomes = []
        for _ in range(9):
            async with a_client("127.0.0.1/32") as fresh:
                try:
                    outcomes.append((await fresh.request("GET", f"http://rebind.example:{good}/x")).status)
                except AddressRefused:
                    outcomes.append(0)
        assert canary.touched == 0
        assert outcomes.count(200) == 6, "the permitted address is used where there is one"


# ------------------------------------------------------------------------------ every way in which others name an address


async def _search(world: World, words: str) -> None:
    answer = await world.client.get("/api/v2/search", params={"q": words, "resolve": "true"})
    assert answer.status_code == 200
    await world.client.get("/search", params={"q": words})


async def _by_handle(world: World, far: FarServer, canary: Canary) -> None:
    await _search(world, f"@x@{canary.host}")


async def _by_address(world: World, far: FarServer, canary: Canary) -> None:
    await _search(world, f"{canary.url}/users/x")


async def _by_webfinger_link(world: World, far: FarServer, canary: Canary) -> None:
    far.knows(f"acct:link@{far.host}", f"{canary.url}/users/link")
    await _search(world, f"@link@{far.host}")


async def _by_webfinger_redirect(world: World, far: FarServer, canary: Canary) -> None:
    far.redirect(f"/.well-known/webfinger?acct:moved@{far.host}", f"{canary.url}/.well-known/webfinger")
    await _search(world, f"@moved@{far.host}")


async def _by_actor_redirect(world: World, far: FarServer, canary: Canary) -> None:
    far.redirect("/users/gone-elsewhere", f"{canary.url}/users/x")
    await _search(world, f"{far.url}/users/gone-elsewhere")


async def _by_id_of_a_document(world: World, far: FarServer, canary: Canary) -> None:
    far.serve("/users/claims", {**far.actor("ana").document(), "id": f"{canary.url}/users/x"})
    await _search(world, f"{far.url}/users/claims")


async def _by_key_id(world: World, far: FarServer, canary: Canary) -> None:
    ana = far.actor("ana")
    for key_id in (f"{canary.url}/users/x#main-key", f"{canary.url}/users/x/main-key"):
        answer = await ana.says(world, ana.activity("Like", f"{world.instance.identifiers.base_url}/x"), key_id=key_id)
        assert answer.status_code == 401


async def _by_attachment(world: World, far: FarServer, canary: Canary) -> None:
    ana = far.actor("ana")
    far.redirect("/leads-there.jpg", f"{canary.url}/b.jpg")
    pictures = [
        {"type": "Image", "mediaType": "image/jpeg", "url": url} for url in (f"{canary.url}/a.jpg", f"{far.url}/leads-there.jpg")
    ]
    note = ana.note(attachment=pictures, to=[artist_uri(world)])
    assert (await ana.says(world, ana.create(note))).status_code == 202


async def _by_portraits(world: World, far: FarServer, canary: Canary) -> None:
    far.actor("vain").shows(
        icon={"type": "Image", "url": f"{canary.url}/i.jpg"}, image={"type": "Image", "url": f"{canary.url}/h.jpg"}
    )
    await _search(world, f"{far.url}/users/vain")


async def _by_object(world: World, far: FarServer, canary: Canary) -> None:
    ana = far.actor("ana")
    await follow_actor(world, ana)
    far.redirect("/notes/moved", f"{canary.url}/notes/1")
    for uri in (f"{canary.url}/notes/1", f"{far.url}/notes/moved"):
        for kind in ("Announce", "Create", "Update"):
            assert (await ana.says(world, ana.activity(kind, uri))).status_code == 202


ENTRIES: list[Callable[[World, FarServer, Canary], Awaitable[None]]] = [
    _by_handle,
    _by_address,
    _by_webfinger_link,
    _by_webfinger_redirect,
    _by_actor_redirect,
    _by_key_id,
    _by_attachment,
    _by_portraits,
    _by_object,
]


@pytest.mark.anyio
@pytest.mark.parametrize("is_open", [False, True], ids=["forbidden", "allowed"])
@pytest.mark.row(15)
async def test_by_no_way_in_is_a_forbidden_address_dialled(is_open: bool, tmp_path: Path) -> None:
    """The second run allows the address: every way in then reaches it, so the first run proves something."""
    async with a_canary() as probe, a_far_server() as far:
        where = probe.host.rsplit(":", 1)[0].strip("[]")
        opened: dict[str, Any] = {"federation.allow_networks": ["127.0.0.1/32", *([where] if is_open else [])]}
        async with a_world(tmp_path, **opened) as world:
            for enter in ENTRIES:
                async with a_canary() as canary:
                    await enter(world, far, canary)
                    if is_open:
                        await until(lambda there=canary: there.touched)  # type: ignore[misc]
                    else:
                        assert await settled(world) == []
                        assert canary.touched == 0, enter.__name__
            await _by_id_of_a_document(world, far, probe)
            assert probe.touched == 0, "nobody is asked because another says so"


# ------------------------------------------------------------------------------------------------------------ redirects


@pytest.mark.anyio
@pytest.mark.row(17)
async def test_three_redirects_are_followed_and_four_are_not() -> None:
    async with a_far_server() as far, a_client("127.0.0.1/32") as client:
        far.serve("/4", {"id": f"{far.url}/4"})
        for hop in range(4):
            far.redirect(f"/{hop}", f"/{hop + 1}", status=(301, 302, 307, 308)[hop])
        assert (await fetch_document(client, f"{far.url}/1", signer))["id"] == f"{far.url}/4"
        far.asked.clear()
        with pytest.raises(BadAnswer):
            await fetch_document(client, f"{far.url}/0", signer)
        assert len(far.asked) == 4


@pytest.mark.anyio
@pytest.mark.parametrize(
    "location", ["/loop", "", "http://[::1", "ftp://far.example/", "http://far.example:0/", "javascript:x", "http://"]
)
@pytest.mark.row(17)
async def test_a_redirect_in_a_circle_or_to_nowhere_ends(location: str) -> None:
    async with a_far_server() as far, a_client("127.0.0.1/32") as client:
        far.redirect("/loop", location)
        with pytest.raises(RemoteError):
            await fetch_document(client, f"{far.url}/loop", signer)
        with pytest.raises(RemoteError):
            await fetch_webfinger(client, "x", f"{far.host}")
        assert len(far.asked) <= 5


@pytest.mark.parametrize(
    "location", ["http://far.example/", "ftp://far.example/", "data:x", "file:///etc/passwd", "", "https://[::1", "http:x"]
)
@pytest.mark.row(17)
def test_a_redirect_never_leads_from_https_to_something_else(location: str) -> None:
    with pytest.raises(BadAnswer):
        next_url("https://far.example/a", location)


def test_a_redirect_may_be_relative_or_lead_to_another_host() -> None:
    assert next_url("https://far.example/a/b", "../c?x=1") == "https://far.example/c?x=1"
    assert next_url("https://far.example/a", "//other.example/") == "https://other.example/"


@pytest.mark.anyio
@pytest.mark.row(17)
async def test_each_hop_is_signed_for_the_host_that_it_asks() -> None:
    async with a_far_server() as far, a_far_server() as other, a_client("127.0.0.1/32") as client:
        far.redirect("/a", f"{other.url}/b?x=1")
        other.serve("/b", {"id": f"{other.url}/b?x=1"})
        found = await fetch_document(client, f"{far.url}/a", signer)
        assert found["id"].startswith(other.url), "it speaks for the host where it was found, and for no other"
        for server in (far, other):
            asked = server.asked[0]
            read = read_signature("GET", asked.target, asked.headers, None, system_clock(), {server.host})
            assert isinstance(read, SignatureToCheck)
            assert check_signature(read, key_pair(1)[1]) == Verified(KEY_ID)


ODD_PATHS = [
    "/%7Eana/inbox",
    "/~ana",
    "/a%2fb",
    "/caf%c3%a9",
    "/café",
    "/a;b=c@d",
    "/a/../b",
    "//x//y",
    "/a[1]?b[]=1",
    "/x?",
    "/x?a=%7e&b=c+d|e",
]
ODD_PATHS += ["", "/x#fragment", "/x?é=ü", "/a b".replace(" ", "%20"), "/x?q='\"<>", "/%zz"]


@pytest.mark.anyio
async def test_what_is_signed_is_what_goes_on_the_wire() -> None:
    async with a_far_server() as far, a_client("127.0.0.1/32") as client:
        for path in ODD_PATHS:
            url, body = far.url + path, b"{}"
            await client.signed(signer, "POST", url, content=body)
            asked = far.asked[-1]
            read = read_signature("POST", asked.target, asked.headers, asked.body, system_clock(), {far.host})
            assert isinstance(read, SignatureToCheck), path
            assert check_signature(read, key_pair(1)[1]) == Verified(KEY_ID), f"{path} was sent as {asked.target}"


# --------------------------------------------------------------------------------------------------- bounds on an answer


@pytest.mark.anyio
@pytest.mark.row(24)
async def test_nothing_compressed_is_asked_for_or_taken() -> None:
    async with a_far_server() as far, a_client("127.0.0.1/32") as client:
        far.serve("/bomb", gzip.compress(b" " * 50_000_000), content_encoding="gzip")
        for encoding in ("br", "zstd", "deflate", "x-gzip", "identity, gzip"):
            far.serve(f"/{encoding}", b"x", content_encoding=encoding)
        for path in far.answers:
            with pytest.raises(BadAnswer):
                await client.request("GET", far.url + path)
        assert {asked.headers["accept-encoding"] for asked in far.asked} == {"identity"}


@pytest.mark.anyio
@pytest.mark.row(24)
async def test_an_answer_of_more_than_a_megabyte_is_left_unread() -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/activity+json\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                sent += 65_536
                writer.write(b"x" * 65_536)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    async with server, a_far_server() as far, a_client("127.0.0.1/32") as client:
        far.serve("/long", b"x" * 1_048_577)
        far.serve("/just", b"x" * 1_048_576)
        for url in (f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", far.url + "/long"):
            with pytest.raises(BadAnswer, match="too long"):
                await client.request("GET", url)
        assert len((await client.request("GET", far.url + "/just")).body) == 1_048_576
        assert sent < 30_000_000, "the rest is not even sent: only what was on its way"


@pytest.mark.anyio
@pytest.mark.parametrize("drip", ["nothing", "a header", "a body", "status lines"])
@pytest.mark.row(25)
async def test_a_server_that_drips_is_left_after_the_total_time(drip: str) -> None:
    gone = asyncio.Event()

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            if drip == "a body":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n")
            if drip == "a header":
                writer.write(b"HTTP/1.1 200 OK\r\n")
            while True:
                writer.write(
                    {"nothing": b"", "a header": b"x-a: b\r\n", "status lines": b"HTTP/1.1 100 Continue\r\n\r\n"}.get(drip, b"x")
                )
                await writer.drain()
                await asyncio.sleep(0.02)
                if reader.at_eof():
                    break
        except ConnectionError:
            pass
        gone.set()
        writer.close()

    server = await asyncio.start_server(peer, "127.0.0.1", 0)
    async with server, a_client("127.0.0.1/32") as client:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(Unreachable):
            await client.request("GET", url, total_seconds=0.4)
        async with asyncio.timeout(20):
            await gone.wait()  # and it is hung up on: a dripping peer keeps no connection of ours


@pytest.mark.anyio
@pytest.mark.row(25)
async def test_redirects_and_what_they_lead_to_have_one_time_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each answer comes well within the time; all of them together do not."""
    async with a_far_server() as far, a_client("127.0.0.1/32") as client:
        for number in range(3):
            far.redirect(f"/{number}", f"/{number + 1}")
        far.serve("/3", {"id": f"{far.url}/3"})
        far.serve("/id", {"id": f"{far.url}/3"})
        far.hold_s = 0.3
        monkeypatch.setattr("fediart.remote.fetch.TOTAL_SECONDS", 0.8)
        with pytest.raises(Unreachable):
            await follow(client, f"{far.url}/0", {}, None, max_bytes=1_000)
        with pytest.raises(Unreachable):
            await fetch_document(client, f"{far.url}/1", signer)
        with pytest.raises(Unreachable):
            await download_file(client, f"{far.url}/0", tmp_path / "x", max_bytes=1_000, total_seconds=0.8)
        far.hold_s = 0
        assert (await fetch_document(client, f"{far.url}/id", signer))["id"] == f"{far.url}/3"
        assert far.times_asked("/3") == 1, "nobody who had given up came so far"
        assert (TOTAL_SECONDS, PICTURE_SECONDS) == (10, 60)


@pytest.mark.anyio
@pytest.mark.row(25)
async def test_many_slow_peers_hold_up_nobody_else() -> None:
    held = 0

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal held
        held += 1
        await reader.read()
        writer.close()

    async with contextlib.AsyncExitStack() as stack:
        servers = [await asyncio.start_server(silent, "127.0.0.1", 0) for _ in range(LANES + dispatch.LANES)]
        for server in servers:
            await stack.enter_async_context(server)
        far = await stack.enter_async_context(a_far_server())
        client = await stack.enter_async_context(a_client("127.0.0.1/32"))
        far.serve("/x", {})
        urls = [f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/" for server in servers]
        waiting = [asyncio.create_task(client.request("GET", url, total_seconds=30)) for url in urls]
        await until(lambda: held == len(urls))
        assert (await client.request("GET", far.url + "/x")).status == 200
        assert not any(task.done() for task in waiting), "the others were still waiting when this one was answered"
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.anyio
@pytest.mark.row(24)
async def test_headers_without_end_are_refused() -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + b"x-a: " + b"y" * 100_000 + b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(peer, "127.0.0.1", 0)
    async with server, a_client("127.0.0.1/32") as client:
        with pytest.raises(RemoteError):
            await client.request("GET", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 2xx\r\n\r\n", b"\x00" * 100, b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"]
)
async def test_an_answer_that_is_no_http_is_an_error_of_ours(answer: bytes) -> None:
    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(peer, "127.0.0.1", 0)
    async with server, a_client("127.0.0.1/32") as client:
        with pytest.raises(RemoteError):
            await client.request("GET", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")


@pytest.mark.anyio
@pytest.mark.row(24)
async def test_a_picture_is_bounded_and_must_say_that_it_is_one(tmp_path: Path) -> None:
    async with a_far_server() as far, a_client("127.0.0.1/32") as client:
        far.serve("/long.jpg", b"x" * 10_001, content_type="image/jpeg")
        far.serve("/page.jpg", b"<html>", content_type="text/html")
        far.serve("/none.jpg", b"x", content_type=None)
        far.serve("/good.jpg", b"x" * 10_000, content_type="image/jpeg; x=y")
        far.serve("/zipped.jpg", b"x", content_type="image/jpeg", content_encoding="gzip")
        far.serve("/broken.jpg", b"x", status=500)
        far.redirect("/moved.jpg", "/good.jpg")
        expected = {"/long.jpg": BadAnswer, "/page.jpg": BadAnswer, "/none.jpg": BadAnswer, "/zipped.jpg": BadAnswer}
        for path, error in {**expected, "/broken.jpg": RefusedByRemote, "/absent.jpg": RemoteGone}.items():
            with pytest.raises(error):
                await download_picture(client, far.url + path, tmp_path / "x", max_bytes=10_000)
        for path in ("/good.jpg", "/moved.jpg"):
            answer = await download_picture(client, far.url + path, tmp_path / "x", max_bytes=10_000)
            assert answer.headers["content-type"].startswith("image/jpeg")
            assert (tmp_path / "x").stat().st_size == 10_000


@pytest.mark.anyio
@pytest.mark.row(2)
async def test_only_documents_of_the_right_type_found_under_their_own_id_are_believed() -> None:
    async with a_far_server() as far, a_far_server() as other, a_client("127.0.0.1/32") as client:
        for number, (path, answer, content_type) in enumerate(
            [
                ("/html", {"id": f"{far.url}/html"}, "text/html"),
                ("/json", {"id": f"{far.url}/json"}, "application/json"),
                ("/ld", {"id": f"{far.url}/ld"}, "application/ld+json"),
                ("/png", {"id": f"{far.url}/png"}, "image/png"),
                ("/untyped", {"id": f"{far.url}/untyped"}, None),
                ("/of-other", {"id": f"{other.url}/of-other"}, AP),
                ("/no-id", {"type": "Note"}, AP),
                ("/list-id", {"id": [f"{far.url}/list-id"]}, AP),
                ("/leads", {"id": f"{far.url}/disagrees"}, AP),
            ]
        ):
            far.serve(path, answer, content_type=content_type)
            far.serve("/disagrees", {"id": f"{far.url}/another"})
            far.asked.clear()
            with pytest.raises(RemoteError):
                await fetch_document(client, far.url + path, signer)
            assert len(far.asked) == (2 if path == "/leads" else 1), number
        assert other.asked == [], "nobody is asked on another's word"
        far.serve("/alias", {"id": f"{far.url}/real", "n": 1})
        far.serve("/real", {"id": f"{far.url}/real", "n": 2})
        assert (await fetch_document(client, f"{far.url}/alias", signer))["n"] == 2
        far.serve(
            "/ld", {"id": f"{far.url}/ld"}, content_type='application/ld+json; profile="https://www.w3.org/ns/activitystreams"'
        )
        assert await fetch_document(client, f"{far.url}/ld", signer)


# --------------------------------------------------------------------------------------------------- proxies and certificates


@pytest.mark.anyio
async def test_proxy_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_canary("127.0.0.1") as canary, a_far_server() as far:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, canary.url)
        far.serve("/x", {})
        async with a_client("127.0.0.1/32") as client:
            assert (await client.request("GET", far.url + "/x")).status == 200
        assert canary.touched == 0


def _certificate(folder: Path, name: str, *, ca: tuple[Any, Any] | None = None, expired: bool = False) -> tuple[Any, Any]:
    """A throw-away certificate, self-signed or by `ca`; written to `name`.pem and `name`.key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    end = now - datetime.timedelta(days=1) if expired else now + datetime.timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca[0].subject if ca else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if ca is None:
        usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
        usage |= dict.fromkeys(("encipher_only", "decipher_only"), False)
        builder = builder.add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **usage), critical=True
        )
    else:
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca[1].public_key()), critical=False)
    certificate = builder.sign(ca[1] if ca else key, hashes.SHA256())
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / f"{name}.pem").write_bytes(pem)
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, key


@pytest.mark.anyio
async def test_authorities_are_those_of_ssl_cert_file_where_it_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = _certificate(tmp_path, "authority")
    _certificate(tmp_path, "localhost", ca=ca)

    async def ask(far: FarServer) -> int:
        async with a_client("127.0.0.1/32", allow_http=False) as client:
            return (await client.request("GET", far.url + "/x")).status

    async with a_far_server(name="localhost", tls=(tmp_path / "localhost.pem", tmp_path / "localhost.key")) as far:
        far.serve("/x", {})
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        assert await ask(far) == 200
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(Unreachable):
            await ask(far)


@pytest.mark.anyio
@pytest.mark.parametrize("flaw", ["another name", "expired", "self-signed"])
async def test_a_certificate_with_a_flaw_ends_the_connection(flaw: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ca = _certificate(tmp_path, "authority")
    name = "elsewhere.example" if flaw == "another name" else "localhost"
    _certificate(tmp_path, name, ca=None if flaw == "self-signed" else ca, expired=flaw == "expired")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    async with a_far_server(name="localhost", tls=(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")) as far:
        async with a_client("127.0.0.1/32") as client:
            with pytest.raises(Unreachable):
                await client.request("GET", far.url + "/x")
        assert far.asked == []


@pytest.mark.anyio
async def test_an_answer_is_the_last_one_asked_and_its_headers_are_in_small_letters() -> None:
    async with a_far_server() as far, a_client("127.0.0.1/32") as client:
        far.redirect("/a", "/b")
        far.serve("/b", {"n": 1}, X_Made_By="me")
        answer = await follow(client, far.url + "/a", {}, None, max_bytes=100)
        assert (answer.url, json.loads(answer.body), answer.headers["x-made-by"]) == (far.url + "/b", {"n": 1}, "me")


# ------------------------------------------------------------------------------------------------------- one room only

NETWORK = {
    "httpx",
    "httpx_aiohttp",
    "aiohttp",
    "yarl",
    "requests",
    "urllib3",
    "http.client",
    "urllib.request",
    "ftplib",
    "smtplib",
    "socket",
}
CALLS = {
    "create_connection",
    "getaddrinfo",
    "open_connection",
    "open_unix_connection",
    "urlopen",
    "gethostbyname",
    "sock_connect",
}
LISTENERS = {
    "cli/serve.py": "binds the socket on which this server is asked",
    "cli/setup.py": "binds the port for a moment, to see that no server runs",
    "cli/demo.py": "looks for a free port to listen on",
}


def network_uses(root: Path) -> list[str]:
    """`file:line what` for every import or call by which a module could reach the network."""
    found = []
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            words: list[str] = []
            if isinstance(node, ast.Import):
                words = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                words = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS:
                found.append(f"{name}:{node.lineno} {node.func.attr}()")
            line = getattr(node, "lineno", 0)
            found += [f"{name}:{line} {word}" for word in words if word in NETWORK or word.split(".")[0] in NETWORK]
    return found


@pytest.mark.row(18)
def test_only_the_room_remote_goes_on_the_network() -> None:
    root = Path(fediart.__file__).parent
    uses = network_uses(root)
    assert any(use.startswith("remote/client.py") and use.endswith(" httpx") for use in uses), "the rule finds what there is"
    outside = [use for use in uses if not use.startswith("remote/")]
    assert [use for use in outside if use.split(":")[0] not in LISTENERS] == []
    assert {use.split(" ", 1)[1] for use in outside} <= {"socket"}


@pytest.mark.row(18)
def test_the_rule_finds_every_other_client(tmp_path: Path) -> None:
    lines = ["import httpx", "from urllib.request import urlopen", "import urllib.request as u", "from urllib import request"]
    lines += ["import socket, os", "import aiohttp.client", "x.getaddrinfo('h')", "asyncio.open_connection('h', 1)"]
    (tmp_path / "sly.py").write_text("\n".join(lines))
    assert {use.split(":")[1].split(" ")[0] for use in network_uses(tmp_path)} == {str(n) for n in range(1, len(lines) + 1)}


def test_the_forbidden_address_is_one_of_this_machine() -> None:
    assert not Guard(HERE).permits(FORBIDDEN)
