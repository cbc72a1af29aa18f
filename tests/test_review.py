"""The review queue: who may see it, what each decision does, asking again, and what an artist shows to moderators only."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, select, update

from fediart.clock import system_clock
from fediart.domain.images import is_secret_name
from fediart.domain.origin import Level
from fediart.domain.policy import Preset
from fediart.domain.reviews import PROOF_MS
from fediart.ids import new_id
from fediart.instance import Instance
from fediart.office.prune import prune
from fediart.storage import images, tables
from tests.commands import run_commands
from tests.far_server import a_far_server, artist_uri, follow, home, settled
from tests.judged import (
    a_file,
    a_moderator,
    adopt,
    audited,
    becomes,
    decide,
    drafted,
    press,
    said_to_others,
    sent_out,
    waiting,
    words_of,
    work_of,
)
from tests.people import Person, people_of
from tests.waiting import until
from tests.world import World, a_world


async def report(
    instance: Instance, reporter: int, actor_id: int, *works: int, category: str = "ai-made", words: str = ""
) -> int:
    """As it comes in: rows of its own, and nothing else."""
    id_ = new_id(system_clock())

    def act(db: Connection) -> None:
        values = {"reporter_id": reporter, "actor_id": actor_id, "category": category, "comment": words, "state": "open"}
        db.execute(tables.reports.insert().values(id=id_, created_at=system_clock(), **values))
        for work_id in works:
            db.execute(tables.report_works.insert().values(report_id=id_, work_id=work_id))

    await instance.storage.write(act)
    return id_


async def report_state(instance: Instance, report_id: int) -> str:
    query = select(tables.reports.c.state).where(tables.reports.c.id == report_id)
    return await instance.storage.read(lambda db: str(db.execute(query).scalar_one()))


@pytest.mark.anyio
async def test_the_queue_is_for_moderators_and_shows_what_they_need_to_decide(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        vera = await a_moderator(people, "vera")
        work_id = await sent_out(mira, a_file(Level.GENERATOR), declaration="traditional")
        (review,) = await waiting(world.instance)
        page = f"/admin/review/{review.id}"
        picture = (await world.instance.storage.read(images.images_of_works, [work_id]))[work_id][0].image.id
        for path in ("/admin", "/admin/review", page, f"{page}/pictures/{picture}"):
            assert (await noor.browser.get(path)).status_code == 404, path
            assert (await world.stranger.get(path)).status_code in (303, 401), path
        assert (await decide(noor, review.id, "clear")).status_code == 404
        assert (await waiting(world.instance)) == [review]
        assert "1 waits for a moderator" in words_of(await vera.browser.get("/admin"))
        for path in ("/admin/review", page):
            shown = words_of(await vera.browser.get(path))
            assert ("my words" in shown) == (path == page), "who reads what is private is written down"
            for words in ("Held by the policy", "Made by hand, traditionally", "settings of Stable Diffusion web UI"):
                assert words in shown, (path, words)
        await until(lambda: _is_shown(vera, f"{page}/pictures/{picture}"))
        looked = await vera.browser.get(f"{page}/pictures/{picture}")
        assert (looked.headers["content-type"], looked.headers["cache-control"]) == ("image/jpeg", "no-store")
        assert "/media/p/" not in (await vera.browser.get(page)).text, "a secret name is not handed on"
        assert [verb for _, verb, _ in await audited(world.instance)] == ["look"] * 2, "page and picture, once, however often"
        empty = await decide(vera, review.id, "remove", "  ")
        assert empty.status_code == 422
        assert "A decision needs a reason" in empty.text
        assert (await vera.browser.get("/admin/review/12345")).status_code == 404


async def _is_shown(who: Person, path: str) -> bool:
    return (await who.browser.get(path)).status_code == 200


@pytest.mark.anyio
async def test_a_cleared_work_goes_out_and_its_file_passes_ever_after_whoever_brings_it(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        vera = await a_moderator(people, "vera")
        file = a_file(Level.GENERATOR)
        work_id = await sent_out(mira, file)
        (review,) = await waiting(world.instance)
        done = await decide(vera, review.id, "clear", "Lovely brushwork.", note="I saw the layers")
        assert done.headers["location"] == "/admin/review"
        assert (await work_of(world.instance, work_id)).state == "waiting"
        other = await sent_out(noor, file)
        assert (await work_of(world.instance, other)).state == "waiting"
        assert (await work_of(world.instance, await sent_out(noor, a_file(Level.GENERATOR, 2)))).state == "held"
        news = await mira.browser.get("/notifications")
        assert "The moderators wrote to you about a work of yours" in words_of(news)
        for path in ("/decisions", f"/decisions/{review.id}"):
            told = words_of(await mira.browser.get(path))
            assert "Lovely brushwork." in told
            assert "vera" not in told.lower(), "who decided is not told"
            assert "I saw the layers" not in told
        assert (await noor.browser.get(f"/decisions/{review.id}")).status_code == 404
        assert (await decide(vera, review.id, "remove")).status_code == 422, "decided once"
        assert (vera.account.id, "review-clear", "Lovely brushwork.") in await audited(world.instance)
        done = await vera.browser.get("/admin/audit")
        assert f"@vera cleared review {review.id} (" in words_of(done)
        assert ": Lovely brushwork." in words_of(done)
        assert f'href="/admin/review/{review.id}"' in done.text
        assert (await mira.api.get("/api/v1/notifications")).json() == [], "Mastodon's API has no word for it"


@pytest.mark.anyio
async def test_a_removed_work_can_be_asked_about_once_and_another_moderator_gives_the_second_opinion(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        vera, omar = await a_moderator(people, "vera"), await a_moderator(people, "omar")
        work_id = await sent_out(mira, a_file(Level.GENERATOR))
        (first,) = await waiting(world.instance)
        await decide(vera, first.id, "remove", "It looks generated to us.")
        draft = await work_of(world.instance, work_id)
        assert (draft.state, "It looks generated to us." in draft.problem) == ("draft", True)
        again = await press(mira, f"/compose/{work_id}")
        assert again.status_code == 422, "to publish it again is no way round"
        decision = f"/decisions/{first.id}"
        assert "Ask again" in (await mira.browser.get(decision)).text
        assert (await mira.browser.send(decision, {"action": "ask", "appeal": " "}, page=decision)).status_code == 422
        asked = await mira.browser.send(decision, {"action": "ask", "appeal": "I have all layers."}, page=decision)
        assert asked.headers["location"] == "/decisions"
        (second,) = await waiting(world.instance)
        assert (second.kind, second.earlier_id, second.words) == ("appeal", first.id, "I have all layers.")
        page = f"/admin/review/{second.id}"
        refused = await vera.browser.get(page)
        assert "You decided this the first time" in refused.text
        assert 'name="verb"' not in refused.text
        assert (await decide(vera, second.id, "remove")).status_code == 403
        shown = await omar.browser.get(page)
        assert 'name="verb"' in shown.text
        assert "It looks generated to us." in shown.text, "what was decided before"
        await decide(omar, second.id, "label", "With a label it can be shown.", label="ai-assisted")
        work = await becomes(world.instance, second.work_id or 0, "published")
        assert (work.self_label, work.moderated) == ("ai-assisted", "label")
        assert "Parts made with AI" in words_of(await world.stranger.get(f"/@mira/{work.id}"))
        last = f"/decisions/{second.id}"
        assert "Ask again" not in (await mira.browser.get(last)).text
        assert (await mira.browser.send(last, {"action": "ask", "appeal": "and again"}, page="/search")).status_code == 422
        assert await waiting(world.instance) == []


@pytest.mark.anyio
async def test_what_the_policy_refuses_can_be_brought_before_a_moderator_from_the_composer(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira, vera = await people.person("mira"), await a_moderator(people, "vera")
        page, _ = await drafted(mira, a_file(Level.DECLARED))
        assert 'value="ask">Ask a moderator' in (await mira.browser.get(page)).text
        nothing = await press(mira, page, "ask", appeal="")
        assert "write a few words to the moderators" in words_of(nothing)
        sent = await press(mira, page, "ask", appeal="The label comes from a filter of my camera.")
        assert sent.status_code == 303
        (review,) = await waiting(world.instance)
        assert (review.kind, review.rule) == ("appeal", "declared")
        shown = words_of(await vera.browser.get(f"/admin/review/{review.id}"))
        assert "The label comes from a filter of my camera." in shown
        assert "The file itself says that AI made it" in shown
        await decide(vera, review.id, "remove")
        work_id = review.work_id or 0
        again = await press(mira, f"/compose/{work_id}", "ask", appeal="Please look again.")
        assert again.status_code == 303
        (second,) = await waiting(world.instance)
        assert second.earlier_id == review.id
        await decide(vera, second.id, "remove", "It stays so.")
        third = await press(mira, f"/compose/{second.work_id}", "ask", appeal="And again.")
        assert "looked at twice" in words_of(third)


@pytest.mark.anyio
async def test_a_decision_is_too_old_to_be_asked_about_after_the_days_of_the_policy(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira, vera = await people.person("mira"), await a_moderator(people, "vera")
        await sent_out(mira, a_file(Level.GENERATOR))
        (review,) = await waiting(world.instance)
        await decide(vera, review.id, "remove")
        await _set_back(world, "decided_at", 31 * 86_400_000)
        page = f"/decisions/{review.id}"
        assert "Ask again" not in (await mira.browser.get(page)).text
        asked = await mira.browser.send(page, {"action": "ask", "appeal": "please"}, page="/search")
        assert "can be asked about for 30 days" in words_of(asked)
        assert await waiting(world.instance) == []


async def _set_back(world: World, column: str, ms: int) -> None:
    table = tables.reviews if column == "decided_at" else tables.review_files
    await world.instance.storage.write(lambda db: db.execute(update(table).values({column: table.c[column] - ms})) and None)


@pytest.mark.anyio
async def test_a_report_comes_before_the_moderators_and_its_artist_never_learns_who_reported(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people, a_far_server() as far:
        instance, mira, noor = world.instance, await people.person("mira"), await people.person("noor")
        vera, ana = await a_moderator(people, "vera"), far.actor("ana")
        assert (await ana.says(world, ana.activity("Follow", artist_uri(world)))).status_code == 202
        await until(lambda: far.received("Accept"))
        await adopt(instance, Preset.OPEN)
        work_id = await sent_out(mira, a_file(Level.GENERATOR))
        await becomes(instance, work_id, "published")
        await until(lambda: far.received("Create"))
        (before,) = (await instance.storage.read(images.images_of_works, [work_id]))[work_id]
        public = [f"/media/{rendition.name}" for rendition in before.renditions]
        assert (await world.stranger.get(public[0])).status_code == 200
        reports = [
            await report(instance, noor.account.actor_id, mira.account.actor_id, work_id, words="noor says: six fingers"),
            await report(instance, vera.account.actor_id, mira.account.actor_id, work_id, words="me too"),
        ]
        queue = words_of(await vera.browser.get("/admin/review"))
        assert "2 reported" in queue
        found = await waiting(instance)
        page = f"/admin/review/{found[-1].id}"
        shown = words_of(await vera.browser.get(page))
        for words in (
            "noor says: six fingers",
            "@noor@",
            "settings of Stable Diffusion web UI",
            "I would rather not say",
        ):
            assert words in shown, words
        assert (await mira.browser.get(f"/decisions/{found[-1].id}")).status_code == 404, "nothing is decided yet"
        await decide(vera, found[-1].id, "remove", "It was made by a generator.")
        assert [await report_state(instance, number) for number in reports] == ["closed", "closed"]
        assert await waiting(instance) == [], "both are about the same work"
        assert (await world.stranger.get(f"/@mira/{work_id}")).status_code == 410
        assert (await until(lambda: far.received("Delete")))[0]["object"]["id"].endswith(str(work_id))
        for path in public:
            assert (await world.stranger.get(path)).status_code == 410
        told = (await mira.browser.get(f"/decisions/{found[-1].id}")).text
        assert "It was made by a generator." in told
        assert "Somebody reported this work" in told
        for path in ("/decisions", f"/decisions/{found[-1].id}", "/notifications", "/drafts"):
            text = (await mira.browser.get(path)).text
            assert not [word for word in ("noor", "six fingers", "vera", "me too") if word in text], path
        draft_id = int((await mira.browser.get("/drafts")).text.split("/compose/")[-1].split('"')[0])
        (kept,) = (await instance.storage.read(images.images_of_works, [draft_id]))[draft_id]
        assert kept.image.id == before.image.id
        assert all(is_secret_name(rendition.name) for rendition in kept.renditions)
        assert (await mira.browser.get(f"/media/{kept.renditions[0].name}")).status_code == 200
        assert (await mira.browser.get(f"/originals/{kept.image.id}")).content == a_file(Level.GENERATOR)
        assert "my words" in (await mira.browser.get(f"/compose/{draft_id}")).text


@pytest.mark.anyio
async def test_a_report_that_is_cleared_changes_nothing_and_wakes_nobody(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        vera = await a_moderator(people, "vera")
        work_id = await sent_out(mira, a_file(None))
        before = await becomes(world.instance, work_id, "published")
        number = await report(world.instance, noor.account.actor_id, mira.account.actor_id, work_id)
        await prune(world.instance)
        (review,) = await waiting(world.instance)
        await decide(vera, review.id, "clear")
        assert await report_state(world.instance, number) == "closed"
        assert await work_of(world.instance, work_id) == before
        assert "The moderators" not in (await mira.browser.get("/notifications")).text
        nobody = await report(world.instance, noor.account.actor_id, mira.account.actor_id, category="spam", words="a bot")
        assert "No work" in words_of(await vera.browser.get("/admin/review"))
        (review,) = await waiting(world.instance)
        assert (await decide(vera, review.id, "remove")).status_code == 422
        await decide(vera, review.id, "clear")
        assert await report_state(world.instance, nobody) == "closed"


@pytest.mark.anyio
@pytest.mark.parametrize("verb", ["label", "remove"])
async def test_a_decision_on_another_servers_work_stays_here(tmp_path: Path, verb: str) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people, a_far_server() as far:
        instance, mira, vera = world.instance, await people.person("mira"), await a_moderator(people, "vera")
        ana = far.actor("ana")
        await follow(world, ana)
        await ana.says(world, ana.activity("Create", ana.note()))

        async def arrived() -> list[dict[str, str]]:
            return await home(world)

        work_id = int((await until(arrived))[0]["id"])
        before, far_before = await said_to_others(instance), len(far.received("Flag")) + len(far.received("Update"))
        author = (await work_of(instance, work_id)).actor_id
        await report(instance, mira.account.actor_id, author, work_id)
        await vera.browser.get("/admin/review")
        (review,) = await waiting(instance)
        assert 'value="ask"' not in (await vera.browser.get(f"/admin/review/{review.id}")).text
        assert (await decide(vera, review.id, "ask")).status_code == 422
        await decide(vera, review.id, verb)
        work = await work_of(instance, work_id)
        assert (work.moderated, work.verdict_rule) == ("label" if verb == "label" else "reject", "moderator")
        assert work.self_label == "", "that is its author's own"
        await adopt(instance, Preset.LABEL_ONLY)
        assert await settled(world) == []
        assert await work_of(instance, work_id) == work, "a changed policy does not change a moderator's word"
        shown = [entry["id"] for entry in await home(world)]
        assert shown == ([str(work_id)] if verb == "label" else [])
        if verb == "remove":
            assert (await mira.browser.get(f"/works/{work_id}")).status_code == 404
        else:
            assert "Made with AI: labelled by a moderator" in (await mira.browser.get(f"/works/{work_id}")).text
        assert await settled(world) == []
        assert await said_to_others(instance) == before
        assert len(far.received("Flag")) + len(far.received("Update")) == far_before


@pytest.mark.anyio
async def test_what_an_artist_shows_is_for_moderators_only_and_goes_with_the_decision(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        instance, mira, noor = world.instance, await people.person("mira"), await people.person("noor")
        vera = await a_moderator(people, "vera")
        await sent_out(mira, a_file(Level.GENERATOR))
        (review,) = await waiting(instance)
        await decide(vera, review.id, "ask", "Please show us the layers.")
        assert (await waiting(instance))[0].state == "asked"
        page = f"/decisions/{review.id}"
        assert "Please show us the layers." in (await mira.browser.get(page)).text
        originals = _files(instance)
        layers, note = b"8BPS layers of mine", b"<script>alert(1)</script>"
        shown = [("files", ("layers.psd", layers)), ("files", ("../../how.html", note, "text/html"))]
        sent = await mira.browser.send(page, {"action": "show", "words": "Two days of work."}, files=shown, page=page)
        assert sent.status_code == 303
        assert len(_files(instance)) == len(originals) + 2
        links = [part.split('"')[0] for part in (await mira.browser.get(page)).text.split(f'href="{page}/files/')[1:]]
        assert len(links) == 2
        looking = (await vera.browser.get(f"/admin/review/{review.id}")).text
        assert "Two days of work." in looking
        for who in (mira, vera):
            got = [await who.browser.get(f"{page}/files/{link}") for link in links]
            assert [answer.content for answer in got] == [layers, note]
            for answer in got:
                assert answer.headers["content-type"] == "application/octet-stream"
                assert answer.headers["content-disposition"].startswith("attachment")
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert "sandbox" in answer.headers["content-security-policy"]
                assert answer.headers["cache-control"] == "no-store"
        for link in links:
            assert (await noor.browser.get(f"{page}/files/{link}")).status_code == 404
            assert (await world.stranger.get(f"{page}/files/{link}")).status_code in (303, 401)
        for who in (noor, vera):
            sent = await who.browser.send(page, {"action": "show"}, files=[("files", ("x", b"x"))], page="/search")
            assert sent.status_code == 404, "only its artist shows something"
        many = [("files", (f"{n}.txt", b"x")) for n in range(9)]
        full = await mira.browser.send(page, {"action": "show", "words": "Two days of work."}, files=many, page=page)
        assert "At most 10 files" in full.text
        assert len(_files(instance)) == len(originals) + 10
        assert [verb for _, verb, _ in await audited(instance) if verb == "look"] == ["look"] * 3, "the work, two files"
        await decide(vera, review.id, "clear")
        assert _files(instance) == originals, "all gone, with the decision"
        assert (await mira.browser.get(f"{page}/files/{links[0]}")).status_code == 404
        late = await mira.browser.send(page, {"action": "show"}, files=[("files", ("x", b"x"))], page="/search")
        assert late.status_code == 422
        assert _files(instance) == originals


def _files(instance: Instance) -> set[str]:
    return {path.name for path in (instance.data / "originals").rglob("*") if path.is_file()}


@pytest.mark.anyio
async def test_what_was_shown_goes_after_thirty_days_or_when_the_work_is_taken_back(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        instance, mira = world.instance, await people.person("mira")
        work_id = await sent_out(mira, a_file(Level.GENERATOR))
        (review,) = await waiting(instance)
        page, originals = f"/decisions/{review.id}", _files(instance)
        for words in ("for a month", "for a moment"):
            sent = await mira.browser.send(page, {"action": "show", "words": words}, files=[("files", ("x", b"x"))], page=page)
            assert sent.status_code == 303, "without being asked, too"
            await prune(instance)
            assert len(_files(instance)) == len(originals) + 1
            if words == "for a month":
                await _set_back(world, "added_at", PROOF_MS)
                await prune(instance)
            else:
                await mira.browser.send(f"/works/{work_id}/take-back", page="/search")
            assert _files(instance) == originals


@pytest.mark.anyio
async def test_a_label_of_the_policy_can_be_asked_about_and_taken_off_and_others_hear_of_it(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people, a_far_server() as far:
        instance, mira, vera = world.instance, await people.person("mira"), await a_moderator(people, "vera")
        ana = far.actor("ana")
        assert (await ana.says(world, ana.activity("Follow", artist_uri(world)))).status_code == 202
        await until(lambda: far.received("Accept"))
        await adopt(instance, Preset.LABEL_ONLY)
        work_id = await sent_out(mira, a_file(Level.GENERATOR))
        await becomes(instance, work_id, "published")
        shown = f"/@mira/{work_id}"
        assert "Made with AI" in words_of(await world.stranger.get(shown))
        assert "Why this label" not in (await world.stranger.get(shown)).text
        asked = await mira.browser.send(f"/works/{work_id}/ask", {"appeal": "My brush settings, no generator."}, page=shown)
        assert asked.status_code == 303
        assert "Made with AI" in words_of(await world.stranger.get(shown)), "until it is decided"
        twice = await mira.browser.send(f"/works/{work_id}/ask", {"appeal": "again"}, page=shown)
        assert twice.status_code == 422
        (review,) = await waiting(instance)
        await decide(vera, review.id, "clear")
        work = await work_of(instance, work_id)
        assert (work.state, work.self_label, work.verdict_label) == ("published", "", "")
        assert "Made with AI" not in words_of(await world.stranger.get(shown))
        assert (await until(lambda: far.received("Update")))[0]["object"]["id"].endswith(str(work_id))
        number = await report(instance, vera.account.actor_id, mira.account.actor_id, work_id)
        await vera.browser.get("/admin/review")
        (review,) = await waiting(instance)
        await decide(vera, review.id, "label")
        assert (await work_of(instance, work_id)).self_label == "ai-generated"
        assert await report_state(instance, number) == "closed"
        await until(lambda: len(far.received("Update")) == 2)


@pytest.mark.anyio
async def test_nobody_decides_on_a_work_of_their_own_where_there_is_another_moderator(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira = await a_moderator(people, "mira")
        work_id = await sent_out(mira, a_file(Level.GENERATOR))
        (review,) = await waiting(world.instance)
        await a_moderator(people, "vera")
        assert (await decide(mira, review.id, "clear")).status_code == 403
        assert "It is about a work of yours" in (await mira.browser.get(f"/admin/review/{review.id}")).text
        assert (await work_of(world.instance, work_id)).state == "held"


@pytest.mark.anyio
async def test_reviews_from_a_shell(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira, noor = await people.person("mira"), await people.person("noor")
        await sent_out(mira, a_file(Level.GENERATOR))
        (held,) = await waiting(world.instance)
        await report(world.instance, noor.account.actor_id, mira.account.actor_id, category="spam", words="so many")
    data = ("--data", str(tmp_path))
    listed, shown, nothing, wrong, done = run_commands(
        [
            ("reviews", "list", *data),
            ("reviews", "show", str(held.id), *data),
            ("reviews", "show", "5", *data),
            ("reviews", "decide", str(held.id), "remove", "--reason", " ", *data),
            ("reviews", "decide", str(held.id), "remove", "--reason", "No.", "--note", "by hand", *data),
        ]
    )
    assert "report  open  @mira" in listed.told
    assert f"{held.id}  held  open  @mira" in listed.told
    assert "generator: The text field “parameters” holds settings of Stable Diffusion web UI" in shown.told
    assert "no review 5" in nothing.told
    assert "needs a reason" in wrong.told
    assert done.status == 0, done.told
    async with a_world(tmp_path, jobs=False) as world:
        assert [review.kind for review in await waiting(world.instance)] == ["report"]
        assert (None, "review-remove", "No.") in await audited(world.instance)
