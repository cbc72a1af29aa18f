"""What has served its time goes, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from fediart.office import prune as office
from fediart.storage import arrivals, timelines, works
from fediart.storage.tables import arrivals as arrival_rows
from fediart.storage.tables import timeline, tombstones
from tests.world import a_world

FAR = "https://far.example/users/ada"


@pytest.mark.anyio
async def test_old_arrivals_and_traces_and_the_far_end_of_a_home_go_and_the_rest_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(office, "KEEP", 3)
    async with a_world(tmp_path, jobs=False) as world:
        storage, now = world.instance.storage, world.instance.clock()
        for name, age in (("old", office.ARRIVALS_MS + 1), ("young", 1_000)):
            await storage.write(arrivals.receive, uri=f"{FAR}#{name}", actor_uri=FAR, body=b"{}", now=now - age)
        mine = f"{world.instance.identifiers.base_url}/users/mira/statuses/1"
        for uri, age in ((f"{FAR}/1", office.ARRIVALS_MS + 1), (f"{FAR}/2", 1_000), (mine, office.ARRIVALS_MS + 1)):
            await storage.write(works.put_tombstone, uri, FAR, now - age)
        for number in range(5):
            await storage.write(timelines.place, [world.artist.actor_id], entry_id=number + 1, work_id=number + 1)
        await office.prune(world.instance)
        assert await storage.read(lambda db: list(db.execute(select(arrival_rows.c.uri)).scalars())) == [f"{FAR}#young"]
        assert await storage.read(lambda db: set(db.execute(select(tombstones.c.uri)).scalars())) == {f"{FAR}/2", mine}
        kept = select(timeline.c.entry_id).order_by(timeline.c.entry_id)
        assert await storage.read(lambda db: list(db.execute(kept).scalars())) == [3, 4, 5]
