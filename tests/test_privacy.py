"""What is stored about whom stands in the docs, and who looks at what is private is written down."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fediart.domain.reviews import ReviewKind
from fediart.storage import audit, tables
from fediart.storage.reviews import open_review
from tests.judged import a_moderator
from tests.people import people_of
from tests.world import a_world

ROOT = Path(__file__).resolve().parents[1]


def test_the_page_on_privacy_names_every_table_and_no_other() -> None:
    words = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")))
    held = {table.name for table in tables.metadata.sorted_tables}
    assert held - words == set(), "say in docs/privacy.md what these store about whom"
    assert words - held <= {"look", "admit"}, "what is not there any more"


@pytest.mark.anyio
async def test_a_moderator_who_reads_a_post_for_followers_is_written_down_and_one_who_reads_a_public_one_is_not(
    tmp_path: Path,
) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        noor, vera = await people.person("noor"), await a_moderator(people, "vera")
        instance = world.instance
        pages = {}
        for visibility in ("private", "public"):
            said = {"status": f"words that are {visibility}", "visibility": visibility}
            work_id = int((await noor.api.post("/api/v1/statuses", json=said)).json()["id"])
            actor_id = noor.account.actor_id
            review_id = await instance.storage.write(
                open_review, ReviewKind.REPORT, actor_id=actor_id, work_id=work_id, now=instance.clock()
            )
            pages[visibility] = (f"/admin/review/{review_id}", f"work {work_id} in review {review_id}")
        queue = (await vera.browser.get("/admin/review")).text
        assert "words that are public" in queue
        assert "words that are private" not in queue, "read on its own page only"
        for visibility, (page, _) in pages.items():
            assert f"words that are {visibility}" in (await vera.browser.get(page)).text
            await vera.browser.get(page)
        looks = [(deed.who, deed.subject) for deed in await instance.storage.read(audit.deeds) if deed.verb == "look"]
        assert looks == [("vera", pages["private"][1])], "once, and of what is private"
        for path in ("/drafts", "/settings/sessions", "/settings/email", f"/originals/{pages['private'][0].rpartition('/')[2]}"):
            assert "words that are private" not in (await vera.browser.get(path)).text
