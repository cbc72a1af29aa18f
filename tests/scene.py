"""A small fediverse for tests: mira's world here, ana and bo on one far server, eve on another."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.far_server import FarActor, FarServer, a_far_server, home, settled
from tests.world import World, a_world


@dataclass(frozen=True)
class Scene:
    """Mira here; ana and bo on one far server, eve on another."""

    world: World
    far: FarServer
    other: FarServer
    ana: FarActor
    bo: FarActor
    eve: FarActor

    async def heard(self, actor: FarActor, activity: dict[str, Any], **how: Any) -> None:
        """Told and handled."""
        answer = await actor.says(self.world, activity, **how)
        assert answer.status_code == 202, answer.text
        assert await settled(self.world) == []

    async def uris(self) -> list[str]:
        return [entry["uri"] for entry in await home(self.world)]

    async def post(self, words: str = "an evening", **more: str) -> dict[str, Any]:
        """A work of mira's."""
        answer = await self.world.client.post("/api/v1/statuses", data={"status": words, **more})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def work(self, work_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.world.client.get(f"/api/v1/statuses/{work_id}")).json()
        return found

    async def notices(self) -> list[tuple[str, str]]:
        listed = (await self.world.client.get("/api/v1/notifications")).json()
        return [(item["type"], item["account"]["acct"]) for item in listed]

    async def mira(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.world.client.get("/api/v1/accounts/verify_credentials")).json()
        return found


@contextlib.asynccontextmanager
async def a_scene(prepared: Path, folder: Path, **settings: Any) -> AsyncIterator[Scene]:
    """`prepared`: the fixture of that name. `settings`: as of `a_world`."""
    data = folder / "data"
    shutil.copytree(prepared, data)
    async with a_far_server() as far, a_far_server() as other, a_world(data, **settings) as world:
        yield Scene(world, far, other, far.actor("ana"), far.actor("bo"), other.actor("eve"))
