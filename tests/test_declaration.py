"""How a work was made: chosen in the composer by the policy's leave, changed later, said by client programs and a shell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fediart.domain.declarations import Declaration
from fediart.domain.origin import Level
from fediart.domain.policy import Preset
from fediart.media.sample import draw_sample
from fediart.storage import works
from tests.commands import run_commands
from tests.far_server import a_far_server, artist_uri
from tests.judged import a_file, a_moderator, adopt, becomes, decide, drafted, press, sent_out, waiting, words_of, work_of
from tests.people import people_of
from tests.waiting import until
from tests.world import a_world


def _radio(page: str, value: str) -> str:
    """The label around one choice."""
    found = re.search(rf'<label class="check[^"]*"><input type="radio" name="declaration" value="{value}".*?</label>', page, re.S)
    assert found, value
    return found[0]


@pytest.mark.anyio
@pytest.mark.parametrize("preset", list(Preset))
async def test_the_composer_follows_the_policy_and_explains_what_it_forbids(tmp_path: Path, preset: Preset) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        await adopt(world.instance, preset)
        mira = await people.person("mira")
        page, _ = await drafted(mira, a_file(None))
        shown = (await mira.browser.get(page)).text
        assert all(_radio(shown, choice) for choice in Declaration), "nothing is hidden"
        assert "checked" in _radio(shown, ""), "nothing is said unless its artist says it"
        ai, parts = _radio(shown, "ai"), _radio(shown, "parts-ai")
        assert ("disabled" in ai) == (preset == Preset.HUMAN_ART)
        assert ("This server shows art made by people" in ai) == (preset == Preset.HUMAN_ART)
        assert ('href="/ai-policy"' in ai) == (preset == Preset.HUMAN_ART)
        assert ("It will carry the label “Made with AI”" in ai) == (preset == Preset.LABEL_ONLY)
        assert ("It will carry the label “Parts made with AI”" in parts) == (preset != Preset.OPEN)
        sent = await press(mira, page, declaration="ai")
        if preset == Preset.HUMAN_ART:
            assert sent.status_code == 422
            assert "It was declared as made with AI." in words_of(sent)
            kept = _radio((await mira.browser.get(page)).text, "ai")
            assert "checked" in kept, "what was chosen is kept"
            assert "disabled" not in kept, "or the form would lose it"
        else:
            work = await work_of(world.instance, int(sent.headers["location"].rpartition("/")[2]))
            assert (work.state, work.declaration) == ("waiting", "ai")


@pytest.mark.anyio
async def test_the_choice_is_kept_with_the_draft_and_a_form_without_it_changes_nothing(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        page, _ = await drafted(mira, declaration="code")
        assert "checked" in _radio((await mira.browser.get(page)).text, "code")
        await press(mira, page, "save")
        assert "checked" in _radio((await mira.browser.get(page)).text, "code")
        await press(mira, page, "save", declaration="by magic")
        assert "checked" in _radio((await mira.browser.get(page)).text, "code")
        await press(mira, page, "save", declaration="")
        assert "checked" in _radio((await mira.browser.get(page)).text, "")


@pytest.mark.anyio
async def test_what_a_file_says_stands_under_its_picture_with_what_that_means_here(tmp_path: Path) -> None:
    """Never a percentage, and no hint: that is for moderators."""
    means = {
        (Preset.HUMAN_ART, Level.DECLARED): "With that it cannot be shown here.",
        (Preset.HUMAN_ART, Level.GENERATOR): "When you publish it, a moderator looks at it first.",
        (Preset.HUMAN_ART, Level.ASSISTED): "Please say below how it was made; then it can go out.",
        (Preset.LABEL_ONLY, Level.GENERATOR): "The work will carry the label “Made with AI”.",
        (Preset.LABEL_ONLY, Level.ASSISTED): "The work will carry the label “Parts made with AI”.",
        (Preset.OPEN, Level.GENERATOR): "That is allowed here.",
    }
    levels = (Level.DECLARED, Level.GENERATOR, Level.ASSISTED, Level.HINT, None)
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        mira, vera = await people.person("mira"), await a_moderator(people, "vera")
        page, _ = await drafted(mira, *(a_file(level, number) for number, level in enumerate(levels)))
        for preset in Preset:
            await adopt(world.instance, preset)
            pieces = (await mira.browser.get(page)).text.split('<div class="piece"')[1:]
            for level, piece in zip(levels, pieces, strict=True):
                evidence = piece.partition('<div class="evidence">')[2].partition("</div>")[0]
                assert bool(evidence) == (level not in (Level.HINT, None)), level
                assert "%" not in evidence
                if level is not None and (preset, level) in means:
                    assert means[preset, level] in evidence
                    assert ("Ask a moderator" in evidence) == (
                        preset == Preset.LABEL_ONLY or (preset == Preset.HUMAN_ART and level != Level.GENERATOR)
                    )
            assert "The text field “parameters” holds settings of Stable Diffusion web UI" in pieces[1]
            assert "a cat on a sofa" not in "".join(pieces), "the prompt is its maker's"
        await adopt(world.instance, Preset.HUMAN_ART)
        await sent_out(mira, a_file(Level.GENERATOR, 9))
        await decide(vera, (await waiting(world.instance))[0].id, "clear")
        again, _ = await drafted(mira, a_file(Level.GENERATOR, 9))
        assert "A moderator looked at this file and let it pass." in (await mira.browser.get(again)).text


@pytest.mark.anyio
async def test_it_can_be_said_later_and_other_servers_hear_of_it(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people, a_far_server() as far:
        mira, ana = await people.person("mira"), far.actor("ana")
        assert (await ana.says(world, ana.activity("Follow", artist_uri(world)))).status_code == 202
        await until(lambda: far.received("Accept"))
        work_id = await sent_out(mira, a_file(None))
        await becomes(world.instance, work_id, "published")
        edit = f"/works/{work_id}/edit"
        assert "checked" in _radio((await mira.browser.get(edit)).text, "")
        assert (await mira.browser.send(edit, {"text": "words", "declaration": "parts-ai"}, page=edit)).status_code == 303
        work = await work_of(world.instance, work_id)
        assert (work.declaration, work.self_label, work.source) == ("parts-ai", "ai-assisted", "words")
        assert (await until(lambda: far.received("Update")))[0]["object"]["id"].endswith(str(work_id))
        refused = await mira.browser.send(edit, {"text": "more words", "declaration": "ai"}, page=edit)
        assert refused.status_code == 422
        assert "does not show works that are made so" in refused.text
        assert "more words" in refused.text
        assert (await work_of(world.instance, work_id)).declaration == "parts-ai"
        put = await mira.api.put(f"/api/v1/statuses/{work_id}", json={"status": "words", "declaration": "photo"})
        assert put.status_code == 200
        work = await work_of(world.instance, work_id)
        assert (work.declaration, work.self_label) == ("photo", "")
        await mira.api.put(f"/api/v1/statuses/{work_id}", json={"status": "words again"})
        assert (await work_of(world.instance, work_id)).declaration == "photo"


@pytest.mark.anyio
async def test_a_client_program_may_say_it_too(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world:
        media = (await world.upload(a_file(Level.ASSISTED)))["id"]
        said = {"status": "words", "media_ids": [media]}
        wrong = await world.client.post("/api/v1/statuses", json={**said, "declaration": "by magic"})
        assert wrong.status_code == 422
        assert "Declaration is not one of digital, traditional" in wrong.json()["error"]
        refused = await world.client.post("/api/v1/statuses", json={**said, "declaration": "ai"})
        assert "declared as made with AI" in refused.json()["error"]
        asked = await world.client.post("/api/v1/statuses", json=said)
        assert "Please say how it was made" in asked.json()["error"]
        sent = await world.client.post("/api/v1/statuses", json={**said, "declaration": "digital"})
        assert sent.status_code == 200
        assert (await work_of(world.instance, int(sent.json()["id"]))).declaration == "digital"


@pytest.mark.anyio
async def test_where_every_work_must_say_it_the_question_comes_with_publishing_but_not_with_words_alone(tmp_path: Path) -> None:
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        await adopt(world.instance, Preset.HUMAN_ART, require_origin_statement=True)
        mira = await people.person("mira")
        page, _ = await drafted(mira, a_file(None))
        asked = await press(mira, page)
        assert asked.status_code == 422
        assert "Every work here says how it was made: please choose it" in words_of(asked)
        assert (await press(mira, page, declaration="photo")).status_code == 303
        assert (await world.client.post("/api/v1/statuses", json={"status": "only words"})).status_code == 200


@pytest.mark.anyio
async def test_a_picture_posted_from_a_shell_says_how_it_was_made(tmp_path: Path) -> None:
    async with a_world(tmp_path / "data", jobs=False):
        pass
    (tmp_path / "a.jpg").write_bytes(draw_sample(96, 64))
    (tmp_path / "b.png").write_bytes(a_file(Level.GENERATOR))
    data = ("--data", str(tmp_path / "data"))
    made, held, refused = run_commands(
        [
            ("post", "mira", str(tmp_path / "a.jpg"), "--made", "digital", *data),
            ("post", "mira", str(tmp_path / "b.png"), *data),
            ("post", "mira", str(tmp_path / "a.jpg"), "--made", "ai", *data),
        ]
    )
    assert "A moderator looks at it first" in held.told
    assert "declared as made with AI" in refused.told
    async with a_world(tmp_path / "data", jobs=False) as world:
        final = int(made.told.strip().rpartition("/")[2])
        work = await world.instance.storage.read(works.work_by_id, final)
        assert work is not None
        assert (work.declaration, work.state) == ("digital", "waiting")
