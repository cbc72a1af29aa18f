"""Emoji of other servers: pictures in names, words, warnings and reactions; names where there is no picture."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sqlalchemy import Connection, func, select, update

from fediart.activitypub.parsers.emojis import MAX_EMOJIS, emoji_name, parse_emojis
from fediart.domain.emojis import ShownEmoji
from fediart.domain.images import Rendition, ShownImage
from fediart.remote import bring_home
from fediart.storage import tables
from fediart.studio.bring_image import EMOJI_BYTES
from fediart.text.sanitise import clean_html
from fediart.web.emojis import escaped, with_emojis
from tests.far_server import FarActor, find, follow, home, settled
from tests.people import people_of
from tests.scene import Scene, a_scene
from tests.waiting import until

pytestmark = pytest.mark.anyio
DAY = 24 * 3_600_000


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path) as opened:
        yield opened


def _picture(colour: str, side: int = 32) -> bytes:
    out = io.BytesIO()
    Image.new("RGBA", (side, side), colour).save(out, "PNG")
    return out.getvalue()


def _tag(actor: FarActor, name: str, file: str | None = None) -> dict[str, Any]:
    return {
        "id": f"{actor.server.url}/emojis/{name}",
        "type": "Emoji",
        "name": f":{name}:",
        "icon": {"type": "Image", "mediaType": "image/png", "url": f"{actor.server.url}/{file or name}.png"},
    }


async def _is_brought(scene: Scene, count: int) -> None:
    def ready(db: Connection) -> int:
        query = select(func.count()).where(tables.images.c.purpose == "emoji", tables.images.c.state == "ready")
        return db.execute(query).scalar_one()

    async def brought() -> bool:
        return await scene.world.instance.storage.read(ready) == count

    await until(brought)


async def test_emojis_stand_in_names_words_warnings_and_reactions(scene: Scene) -> None:
    world, ana, far = scene.world, scene.ana, scene.far
    for name, colour in (("sun", "gold"), ("wave", "teal"), ("blob_cat", "pink")):
        far.serve(f"/{name}.png", _picture(colour), content_type="image/png")
    far.serve("/huge.png", b"\x89PNG" + b"0" * EMOJI_BYTES, content_type="image/png")
    far.serve("/page.png", b"<html>", content_type="text/html")
    tags = [_tag(ana, "sun"), _tag(ana, "wave"), _tag(ana, "huge"), _tag(ana, "page"), _tag(ana, "away")]
    ana.shows(name="Ana :sun:", summary="<p>by the :wave: :away:</p>", tag=tags)
    account_id = await follow(world, ana)
    assert far.times_asked("/sun.png") == 1
    note = ana.note(
        '<p>:wave: <a href="https://a.example/:sun:">a:sun:b</a> :huge: :page: :nobody:</p>', summary="warm :sun:", tag=tags
    )
    await scene.heard(ana, ana.create(note))
    posted = await scene.post("an evening")
    for number, (kind, word, said) in enumerate(
        [
            ("Like", "content", ":blob_cat:"),
            ("EmojiReact", "content", ":blob_cat:"),
            ("Like", "_misskey_reaction", ":blob_cat@.:"),
        ]
    ):
        actor = far.actor(f"liker{number}")
        await scene.heard(
            actor, actor.activity(kind, posted["uri"], tag=[_tag(actor, "blob_cat"), _tag(actor, "other")], **{word: said})
        )
    await scene.heard(scene.bo, scene.bo.activity("EmojiReact", posted["uri"], content="🎉"))
    await scene.heard(scene.eve, scene.eve.activity("EmojiReact", posted["uri"], content=":blob_cat:"))
    await _is_brought(scene, 3)
    assert [far.times_asked(f"/{name}.png") for name in ("sun", "wave", "blob_cat", "other")] == [1, 1, 1, 0]

    shown = (await world.client.get(f"/api/v1/accounts/{account_id}")).json()
    assert [item["shortcode"] for item in shown["emojis"]] == ["sun", "wave"]
    file = shown["emojis"][0]["url"]
    assert file == shown["emojis"][0]["static_url"]
    assert file.startswith(world.instance.config.base_url + "/media/")
    assert (await world.stranger.get(file)).content == _picture("gold"), "byte for byte"
    (entry,) = [item for item in await home(world) if item["uri"] == note["id"]]
    assert [item["shortcode"] for item in entry["emojis"]] == ["sun", "wave"]
    assert ":wave:" in entry["content"], "a client puts them in by itself"
    told = (await world.client.get("/api/v1/notifications")).json()
    assert [(item.get("emoji"), "emoji_url" in item) for item in told] == [
        (":blob_cat:", False), ("🎉", False), (":blob_cat:", True), (":blob_cat:", True), (":blob_cat:", True)
    ]  # fmt: skip

    sun, wave = (
        f'<img class="emoji" src="/media/{item["url"].split("/media/")[1]}" alt=":{item["shortcode"]}:"'
        for item in shown["emojis"]
    )
    async with people_of(world.instance) as people:
        browser = (await people.person("mira")).browser
        profile = (await browser.get(f"/@{ana.acct}")).text
        assert f"<h1>Ana {sun}" in profile
        assert f"by the {wave}" in profile
        assert ":away:</p>" in profile
        page = (await browser.get("/home")).text
        assert f"warm {sun}" in page
        assert 'href="https://a.example/:sun:"' in page
        assert f"a{sun}" in page
        assert ":huge: :page: :nobody:" in page
        assert "<title>" in profile
        assert "<img" not in profile.split("<title>")[1].split("</title>")[0]
        news = (await browser.get("/notifications")).text
        assert news.count('likes your work: <img class="emoji"') == 3
        work = (await browser.get(f"/@mira/{posted['id']}")).text
        reactions = work.split('class="reactions"')[1].split("</ul>")[0]
        assert reactions.count("<li>") == 3
        assert '"emoji"' in reactions.split("<li>")[1]
        assert "<span>3</span>" in reactions.split("<li>")[1]
        assert "<li>🎉</li>" in reactions
        assert "<li>:blob_cat:</li>" in reactions, "on eve's server that may be another cat, or none"


@pytest.mark.row(33)
async def test_an_emoji_is_of_its_host_alone_and_changes_at_most_once_a_day(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, ana, eve = scene.world, scene.ana, scene.eve
    for name, colour in (("sun", "gold"), ("sun2", "red")):
        scene.far.serve(f"/{name}.png", _picture(colour), content_type="image/png")
    ana.shows(name="Ana :sun:", tag=[_tag(ana, "sun")])
    ana_id = await find(world, ana)
    await _is_brought(scene, 1)
    eve.shows(name="Eve :sun:")
    eve_id = await find(world, eve)

    async def emojis(account_id: str) -> list[dict[str, Any]]:
        held: list[dict[str, Any]] = (await world.client.get(f"/api/v1/accounts/{account_id}")).json()["emojis"]
        return held

    assert await emojis(eve_id) == []
    (before,) = await emojis(ana_id)
    ana.shows(name="Ana :sun:", tag=[_tag(ana, "sun", "sun2")])
    await scene.heard(ana, ana.activity("Update", ana.document()))
    assert scene.far.times_asked("/sun2.png") == 0

    def a_day_ago(db: Connection) -> None:
        db.execute(update(tables.emojis).values(changed_at=tables.emojis.c.changed_at - DAY))

    await world.instance.storage.write(a_day_ago)
    await scene.heard(ana, ana.activity("Update", ana.document()))
    await _is_brought(scene, 1)
    (after,) = await emojis(ana_id)
    assert (await world.stranger.get(after["url"])).content == _picture("red")
    assert (await world.stranger.get(before["url"])).status_code in (200, 410)

    monkeypatch.setattr(bring_home, "MAX_EMOJIS_OF_HOST", 3)
    ana.shows(name="Ana", tag=[_tag(ana, f"more{number}") for number in range(9)])
    await scene.heard(ana, ana.activity("Update", ana.document()))
    await settled(world)
    count = await world.instance.storage.read(lambda db: db.execute(select(func.count()).select_from(tables.emojis)).scalar_one())
    assert count == 3
    # They are nobody's: who brought one may go.
    await scene.heard(ana, ana.activity("Delete", ana.uri))
    count = await world.instance.storage.read(lambda db: db.execute(select(func.count()).select_from(tables.emojis)).scalar_one())
    assert count == 3


def test_emoji_tags_are_read_in_every_form_and_bounded() -> None:
    icon = {"url": "https://far.example/a.png"}
    forms: list[Any] = [
        {"type": "Emoji", "name": ":a:", "icon": icon},
        {"type": ["Emoji"], "name": "b", "icon": [icon]},
        {"type": "Emoji", "name": ":c@.:", "icon": "https://far.example/c.png"},
        {"type": "toot:Emoji", "name": ":d+1:", "icon": {"url": [{"href": "https://far.example/d.png"}]}},
    ]
    assert [emoji.name for emoji in parse_emojis(forms)] == ["a", "b", "c", "d+1"]
    wrong: list[Any] = [
        {"type": "Emoji", "name": ':"><script>:', "icon": icon},
        {"type": "Emoji", "name": ":e:", "icon": {"url": "javascript:alert(1)"}},
        {"type": "Emoji", "name": ":f:"},
        {"type": "Emoji", "name": ":" + "g" * 65 + ":", "icon": icon},
        {"type": "Mention", "name": ":h:", "icon": icon},
        "Emoji",
        None,
    ]
    assert parse_emojis(wrong) == parse_emojis(None) == parse_emojis("x") == ()
    assert len(parse_emojis([{**forms[0], "name": f":n{number}:"} for number in range(500)])) == MAX_EMOJIS
    assert emoji_name("🎉") == ""


_RENDITION = Rendition(1, "public", "ab/cd.png", "image/png", 32, 32, 100, "")
_CAT = ShownEmoji("cat", ShownImage(None, _RENDITION, None))  # type: ignore[arg-type]  # only its file is looked at
_ABSENT = ShownEmoji("dog", ShownImage(None, None, None))  # type: ignore[arg-type]


@pytest.mark.row(33)
def test_only_words_become_pictures_and_nothing_else() -> None:
    picture = str(with_emojis(":cat:", [_CAT]))
    assert picture.startswith('<img class="emoji" src="/media/ab/cd.png" alt=":cat:"')
    assert with_emojis("<p>:cat::cat:</p>:dog:", [_CAT, _ABSENT]) == f"<p>{picture}{picture}</p>:dog:"
    tricky = clean_html('<a href="https://x.example/?a=>:cat:<b>">b :cat: &lt;:cat:&gt;</a>')
    shown = with_emojis(tricky, [_CAT])
    assert shown.count("<img") == 2
    assert 'alt=":cat:"' not in shown.split(">")[0]
    assert escaped('"<b>:cat:', [_CAT]) == f"&#34;&lt;b&gt;{picture}"


@given(st.text(alphabet=st.sampled_from(list(':cat<>"&ab =/p')), max_size=60))
@pytest.mark.row(33)
def test_a_picture_never_stands_inside_of_a_tag(raw: str) -> None:
    shown = str(with_emojis(clean_html(raw), [_CAT]))
    assert clean_html(shown.replace(str(with_emojis(":cat:", [_CAT])), ":cat:")) == clean_html(clean_html(raw))
    assert str(escaped(raw, [])) == str(escaped(raw, [_ABSENT]))
