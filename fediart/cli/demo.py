"""`fediart demo`: two real servers on this machine. A picture is cloaked on one, sent to the other, and compared."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from fediart.cli.settings import Chosen, read_settings
from fediart.config import read_file
from fediart.domain.actors import Role
from fediart.errors import FediartError
from fediart.instance import open_instance
from fediart.observe import set_up_logs
from fediart.remote.client import RemoteClient, open_client
from fediart.remote.guard import Guard
from fediart.studio.open_account import open_account
from fediart.studio.sign_in import grant_token

PATIENCE_S = 60.0


def settings_text(name: str, url: str, database: str, more: Mapping[str, Any]) -> str:
    """A settings file for one side. `more`: `section.key` → value; what the demo itself needs stands over it."""
    values = {
        **more,
        "instance.url": url,
        "instance.account_domain": "",
        "instance.name": f"{name}'s server",
        "federation.allow_networks": ["127.0.0.0/8", "::1/128"],
        "federation.allow_http": True,
        "limits.enabled": False,
        "cloak.fetch_encoders": False,
        "storage.database": database,
        "log.format": "json",
    }
    # A key with its section in one line; JSON's strings, numbers and lists are TOML's.
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items() if key != "server.port")


class DemoFailed(FediartError):
    """A step of the demo did not happen."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two instances."""

    name: str
    url: str
    port: int
    data: Path
    handle: str
    token: str
    password: str


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def prepare(name: str, data: Path, database: str, more: Mapping[str, Any]) -> Side:
    """A data folder with settings, one account and a token for it."""
    port = free_port()
    url = f"http://localhost:{port}"
    data.mkdir(parents=True, exist_ok=True)
    (data / "config.toml").write_text(settings_text(name, url, database, more), encoding="utf-8")
    config = read_settings(Chosen(data, port=port))
    password = secrets.token_urlsafe(12)
    async with open_instance(config, data) as instance:
        await open_account(instance, name, password, Role.OWNER)
        token = await grant_token(instance, name, "read write follow", "demo")
    return Side(name, url, port, data, f"{name}@localhost:{port}", token, password)


def start(side: Side) -> subprocess.Popen[bytes]:
    """The server as a process of its own, its log beside its data."""
    with (side.data / "server.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "fediart", "serve", "--data", str(side.data), "--port", str(side.port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


class Caller:
    """Asks one instance as its account."""

    def __init__(self, client: RemoteClient, side: Side) -> None:
        self._client = client
        self.side = side

    async def __call__(self, method: str, path: str, *, content: bytes | None = None, kind: str = "application/json") -> Any:
        headers = {"authorization": f"Bearer {self.side.token}", "content-type": kind}
        answer = await self._client.request(method, self.side.url + path, headers=headers, content=content, max_bytes=50_000_000)
        if answer.status >= 400:
            raise DemoFailed(f"{method} {path} answered {answer.status}: {answer.body[:300]!r}")
        return msgspec.json.decode(answer.body) if "json" in answer.headers.get("content-type", "") else answer.body

    async def fetch(self, url: str) -> bytes:
        """What a stranger gets at an address."""
        answer = await self._client.request("GET", url, max_bytes=50_000_000)
        if answer.status != 200:
            raise DemoFailed(f"GET {url} answered {answer.status}")
        return answer.body

    async def until(self, what: str, ask: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
        """Ask until the answer is not None."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = await ask()
            if found is not None:
                return found
            await asyncio.sleep(0.05)
        raise DemoFailed(f"Waited {seconds:.0f} seconds in vain: {what}.")

    async def is_up(self) -> None:
        async def ask() -> bool | None:
            try:
                await self("GET", "/healthz")
            except FediartError:
                return None
            return True

        await self.until(f"{self.side.url} answers", ask)


def form(fields: dict[str, str], file: tuple[str, bytes]) -> tuple[bytes, str]:
    """A multipart form with one JPEG: (body, content type)."""
    boundary = secrets.token_hex(16)
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in fields.items()]
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file[0]}"\r\nContent-Type: image/jpeg\r\n\r\n'
    )
    return b"".join(
        [*parts, head.encode(), file[1], f"\r\n--{boundary}--\r\n".encode()]
    ), f"multipart/form-data; boundary={boundary}"


class Steps:
    """Tells each step with its time, on stderr when stdout is for JSON."""

    def __init__(self, *, quiet_stdout: bool) -> None:
        self._out = sys.stderr if quiet_stdout else sys.stdout
        self._began = self._last = time.monotonic()

    def done(self, what: str) -> None:
        now = time.monotonic()
        print(f"  {now - self._last:6.2f} s  {what}", file=self._out, flush=True)
        self._last = now

    def say(self, what: str) -> None:
        print(what, file=self._out, flush=True)


async def tell_story(client: RemoteClient, artist: Side, follower: Side, steps: Steps) -> dict[str, Any]:
    """Follow, upload, cloak, deliver, read back, compare. Returns what `--json` prints."""
    from fediart.media.sample import draw_sample

    one, two = Caller(client, artist), Caller(client, follower)
    await asyncio.gather(one.is_up(), two.is_up())
    steps.done(f"both instances answer: {artist.url} and {follower.url}")
    found = await two("GET", f"/api/v2/search?resolve=true&type=accounts&q={quote(artist.handle)}")
    target = found["accounts"][0]["id"] if found["accounts"] else None
    if target is None:
        raise DemoFailed(f"{follower.url} did not find {artist.handle}.")
    await two("POST", f"/api/v1/accounts/{target}/follow")

    async def is_following() -> bool | None:
        held = await two("GET", f"/api/v1/accounts/relationships?id[]={target}")
        return True if held[0]["following"] else None

    await two.until("the follow is accepted", is_following)
    steps.done(f"@{follower.handle} follows @{artist.handle}: asked, signed, accepted")
    picture = await asyncio.to_thread(draw_sample)
    original = hashlib.sha256(picture).hexdigest()
    body, kind = form({"description": "An evening over water, a low sun and two hills"}, ("evening.jpg", picture))
    media = await one("POST", "/api/v2/media", content=body, kind=kind)
    steps.done(f"a picture of {len(picture) / 1e3:.0f} kB is uploaded; its original stays in the vault")

    async def is_cloaked() -> dict[str, Any] | None:
        held: dict[str, Any] = await one("GET", f"/api/v1/media/{media['id']}")
        return held if held["url"] else None

    await one.until("the picture is cloaked", is_cloaked)
    steps.done("it is cloaked on this machine")
    said = {"status": "An evening over water #fediart", "media_ids": [media["id"]], "visibility": "public"}
    work = await one("POST", "/api/v1/statuses", content=msgspec.json.encode(said))

    async def has_arrived() -> dict[str, Any] | None:
        home: list[dict[str, Any]] = await two("GET", "/api/v1/timelines/home?limit=5")
        for item in home:
            pictures = item["media_attachments"]
            if item["uri"] == work["uri"] and pictures and all(p["url"] != p["remote_url"] for p in pictures):
                return item
        return None

    arrived = await two.until("the work is in the follower's home", has_arrived)
    steps.done("it was delivered, signed, and stands in the follower's home timeline")
    published = await one("GET", f"/api/v1/statuses/{work['id']}")
    shown = [item["url"] for item in published["media_attachments"]]
    copies = [item["url"] for item in arrived["media_attachments"]]
    cloaked = hashlib.sha256(await one.fetch(shown[0])).hexdigest()
    copy = hashlib.sha256(await two.fetch(copies[0])).hexdigest()
    if cloaked != copy or cloaked == original:
        raise DemoFailed(f"The copy is not the cloaked file: original {original}, cloaked {cloaked}, copy {copy}.")
    steps.done(
        f"read back as the follower: the same bytes as the cloaked file ({copy[:12]}…), not the original ({original[:12]}…)"
    )
    return {
        "instances": [
            {"url": side.url, "handle": side.handle, "token": side.token, "data": str(side.data)} for side in (artist, follower)
        ],
        "work": {
            "id": work["id"],
            "url": work["url"],
            "uri": work["uri"],
            "remote_url": f"{follower.url}/works/{arrived['id']}",
            "media": shown,
            "remote_media": copies,
            "original_sha256": original,
        },
    }


@contextlib.asynccontextmanager
async def two_servers(sides: Sequence[Side]) -> AsyncIterator[None]:
    running = [start(side) for side in sides]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            try:
                await asyncio.to_thread(process.wait, 15)
            except subprocess.TimeoutExpired:
                process.kill()


async def _demo(folder: Path, leave: bool, as_json: bool, databases: Sequence[str], more: Mapping[str, Any]) -> int:
    steps = Steps(quiet_stdout=as_json)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stopped.set)
    artist = await prepare("mira", folder / "artist", databases[0] if databases else "", more)
    follower = await prepare("noor", folder / "follower", databases[1] if databases else "", more)
    steps.done("two instances with an account each")
    client = open_client(
        Guard(read_settings(Chosen(artist.data)).federation.networks), allow_http=True, user_agent="fediart-demo"
    )
    try:
        async with two_servers((artist, follower)):
            try:
                found = await tell_story(client, artist, follower, steps)
            except FediartError as problem:
                for side in (artist, follower):
                    steps.say(f"--- the end of {side.name}'s log\n{(side.data / 'server.log').read_text()[-2_000:]}")
                raise problem
            if as_json:
                print(json.dumps(found), flush=True)
            if not leave:
                if not as_json:
                    _invite(steps, artist, follower, found)
                await stopped.wait()
    finally:
        await client.aclose()
    return 0


def _invite(steps: Steps, artist: Side, follower: Side, found: dict[str, Any]) -> None:
    steps.say("\nBoth go on running. Look at:")
    steps.say(f"  the work          {found['work']['url']}")
    for side in (artist, follower):
        steps.say(f"  {side.name}'s server     {side.url}/sign-in   name {side.name}, password {side.password}")
    steps.say("Stop them with Ctrl-C.")


def run_demo(*, leave: bool, as_json: bool, data: Path | None, config: Path | None, databases: Sequence[str]) -> int:
    """Exit status. `data` None: a temporary folder, gone at the end. `config`: settings for both sides."""
    more = read_file(config) if config is not None else {}
    set_up_logs("error", "console")
    os.environ.pop("FEDIART_INSTANCE__URL", None)
    with contextlib.ExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fediart-demo-")))
        return asyncio.run(_demo(folder, leave, as_json, databases, more))
