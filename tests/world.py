"""A small real world: an instance over a temporary folder, with an artist and a client of its client API."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from fediart.config import load_config
from fediart.domain.actors import Account
from fediart.instance import Instance, open_instance
from fediart.jobs.runner import running_jobs
from fediart.media.sample import draw_sample
from fediart.storage import accounts
from fediart.studio.open_account import open_account
from fediart.studio.sign_in import grant_token
from fediart.web.app import create_app
from tests.databases import address_of

LOOPBACK = {
    "federation.allow_networks": ["127.0.0.0/8", "::1/128"],
    "federation.allow_http": True,
    "limits.enabled": False,
    "cloak.fetch_encoders": False,
}


@dataclass(frozen=True, slots=True)
class World:
    instance: Instance
    artist: Account
    client: httpx.AsyncClient
    """Speaks to the instance as its artist's client program."""
    stranger: httpx.AsyncClient

    async def upload(self, picture: bytes | None = None, **fields: str) -> dict[str, Any]:
        data = picture if picture is not None else draw_sample(320, 240)
        answer = await self.client.post("/api/v2/media", files={"file": ("evening.jpg", data, "image/jpeg")}, data=fields)
        assert answer.status_code in (200, 202), answer.text
        found: dict[str, Any] = answer.json()
        return found


def in_its_database(folder: Path) -> dict[str, Any]:
    """Settings of a world in this folder, for the database that the test runs on."""
    address = address_of(folder)
    return {"storage.database": address} if address else {}


@contextlib.asynccontextmanager
async def a_world(folder: Path, *, jobs: bool = True, **settings: Any) -> AsyncIterator[World]:
    """`settings` as in `a_world(folder, **{"server.port": 8001})`. A folder that was a world's before is taken up again."""
    config = load_config(None, {}, {**LOOPBACK, **in_its_database(folder), **settings})
    async with contextlib.AsyncExitStack() as stack:
        instance = await stack.enter_async_context(open_instance(config, folder))
        artist = await instance.storage.read(accounts.account_named, "mira")
        if artist is None:
            artist = await open_account(instance, "mira", "a password to test with")
        token = await grant_token(instance, "mira", "read write follow", "tests")
        if jobs:
            await stack.enter_async_context(running_jobs(instance))
        transport = httpx.ASGITransport(create_app(instance))
        base = config.base_url
        client = httpx.AsyncClient(transport=transport, base_url=base, headers={"authorization": f"Bearer {token}"})
        stranger = httpx.AsyncClient(transport=transport, base_url=base)
        yield World(instance, artist, await stack.enter_async_context(client), await stack.enter_async_context(stranger))
