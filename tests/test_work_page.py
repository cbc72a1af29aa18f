"""What an artist is told on the page of a work of hers."""

from __future__ import annotations

from pathlib import Path

import pytest

from fediart.storage import shown
from fediart.studio.publish_work import Draft, publish_work, start_draft
from tests.people import people_of
from tests.world import a_world


@pytest.mark.anyio
async def test_a_work_that_nobody_elsewhere_follows_says_so_instead_of_counting_to_nothing(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        work_id = await publish_work(
            world.instance, mira.account, await start_draft(world.instance, mira.account, Draft("Words"))
        )
        page = (await mira.browser.http.get(f"/@mira/{work_id}")).text
        assert "sent to none" in page
        assert "0 of 0" not in page
        seen = await world.instance.storage.read(shown.work_seen_by, work_id, mira.account.actor_id)
        assert seen is not None
        assert seen.deliveries == (0, 0, 0)
