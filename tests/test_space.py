"""Room for pictures: what an artist's take, what is refused and why, and who gives more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fediart.domain.actors import Account, Role
from fediart.domain.space import MB, Space, quota_of, space_problem
from fediart.media.sample import draw_sample
from fediart.storage import accounts, audit
from fediart.storage.space import space_of
from tests.commands import run_commands
from tests.people import people_of
from tests.waiting import until
from tests.world import a_world

pytestmark = pytest.mark.anyio


async def test_an_upload_beyond_the_quota_is_refused_with_what_takes_how_much(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"accounts.quota_mb": 1, "cloak.backend": "texture"}
    async with a_world(tmp_path, **settings) as world, people_of(world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        instance = world.instance
        await instance.storage.write(accounts.put_role, mira.account.id, Role.OWNER)
        picture = draw_sample(320, 240)
        first = await noor.api.post("/api/v2/media", files={"file": ("a.jpg", picture)})
        assert first.status_code in (200, 202)
        held = first.json()["id"]
        await noor.api.post("/api/v1/statuses", json={"status": "one", "media_ids": [held]})
        space: Space = await until(lambda: _shown(world.instance, noor.account.actor_id))
        assert space.originals == len(picture)
        page = (await noor.browser.get("/settings/space")).text
        assert "of the 1.0 MB that you have here" in page
        assert "A work</a>" in page or "with one picture" in page

        originals = sorted(path.name for path in (tmp_path / "originals").rglob("*") if path.is_file())
        large = picture + b"\0" * MB
        for way in ("api", "page"):
            if way == "api":
                refused = await noor.api.post("/api/v2/media", files={"file": ("b.jpg", large)})
                assert refused.status_code == 413
                told = refused.json()["error"]
            else:
                draft = (await noor.browser.send("/compose")).headers["location"]
                sent = await noor.browser.send(draft, {"action": "add"}, files=[("pictures", ("b.jpg", large))], page=draft)
                told = sent.text
            for words in ("of the 1.0 MB that you have here", "originals", "what is shown of them", "ask the admin"):
                assert words in told, (way, words)
        kept = sorted(path.name for path in (tmp_path / "originals").rglob("*") if path.is_file())
        assert kept == originals, "what was refused does not stay"

        give = {"action": "quota", "name": "noor"}
        assert (await noor.browser.send("/admin/people", {**give, "quota": "5"})).status_code == 404
        assert (await mira.browser.send("/admin/people", {**give, "quota": "much"})).status_code == 422
        assert (await mira.browser.send("/admin/people", {**give, "quota": "5"})).status_code == 303
        assert (await noor.api.post("/api/v2/media", files={"file": ("b.jpg", large)})).status_code in (200, 202)
        assert "of the 5.0 MB" in (await noor.browser.get("/settings/space")).text
        data = ("--data", str(tmp_path))
        rooms = [["account", "quota", "noor", room, *data] for room in ("none", "default", "12")]
        ran_all = run_commands([*rooms, ["account", "quota", "eve", "1", *data], ["account", "quota", "noor", "x", *data]])
        assert [ran.status for ran in ran_all] == [0, 0, 0, 1, 1]
        assert ran_all[0].told == "@noor may take no bound.\n"
        assert "of the 12.0 MB" in (await noor.browser.get("/settings/space")).text
        deeds = await instance.storage.read(audit.deeds)
        assert [(deed.who, deed.detail) for deed in deeds if deed.verb == "quota"] == [
            ("", "12 MB"), ("", "as everybody"), ("", "no bound"), ("mira", "5 MB")
        ]  # fmt: skip


async def _shown(instance: Any, actor_id: int) -> Space | None:
    space: Space = await instance.storage.read(space_of, actor_id)
    return space if space.shown else None


def test_an_account_s_own_room_goes_before_everybody_s() -> None:
    def account(quota_mb: int | None) -> Account:
        return Account(1, 2, Role.ARTIST, "", b"", True, 0, quota_mb=quota_mb)

    assert [quota_of(account(own), 10) for own in (None, 0, 3)] == [10 * MB, None, 3 * MB]
    assert quota_of(account(None), 0) is None
    full = Space(6 * MB, 3 * MB, MB)
    assert space_problem(full, 10 * MB, 0) is None
    assert space_problem(full, None, 10**12) is None
    assert (space_problem(full, 10 * MB, 1) or "").startswith(
        "This picture has 0.0 MB, and your pictures take 10.0 MB of the 10.0 MB"
    )
