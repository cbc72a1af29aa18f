"""What a block means: who × what, over real HTTP, with other servers on real sockets. The tables are the expectation.

`x`: it is there, or it counts. `.`: it is not there, or nothing comes of it. `-`: this cannot be asked of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from fediart.activitypub.signatures.sign import sign_request, sign_request_rfc9421
from fediart.clock import system_clock
from fediart.domain.moderation import HostAction, Standing
from fediart.office.judge_actor import judge_actor
from fediart.office.limit_host import put_host_rule
from fediart.storage.notifications import unseen_count
from fediart.studio.open_account import open_account
from tests.far_server import FarActor, artist_uri, find, key_pair, settled
from tests.far_server import follow as follow_far
from tests.people import PASSWORD, People, Person, people_of
from tests.scene import Scene, a_scene
from tests.snapshot import everything
from tests.waiting import until
from tests.world import a_world

pytestmark = [pytest.mark.anyio, pytest.mark.both_databases]
AP = {"accept": "application/activity+json"}


def table(text: str) -> dict[tuple[str, str], str]:
    """(row, column) → its cell."""
    header, *rows = [line.split() for line in text.strip().splitlines()]
    cells: dict[tuple[str, str], str] = {}
    for name, *marks in rows:
        assert len(marks) == len(header), name
        cells |= {(name, column): mark for column, mark in zip(header, marks, strict=True)}
    return cells


@dataclass(frozen=True)
class Stage:
    """Mira, whom this is about, and the others: `people` here, `far` elsewhere, by what they are to her."""

    scene: Scene
    house: People
    mira: Person
    people: dict[str, Person]
    far: dict[str, FarActor]

    @property
    def base(self) -> str:
        return self.house.instance.config.base_url

    async def work(self, who: Person, words: str, **more: str) -> dict[str, Any]:
        answer = await who.api.post("/api/v1/statuses", data={"status": words, **more})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def keep_away(self) -> None:
        """Mira blocks `blocked` and `far_blocked`, mutes `muted`; moderators limit `limited` and block a host."""
        instance, api = self.house.instance, self.mira.api
        for verb, id_ in (
            ("block", self.people["blocked"].account.actor_id),
            ("block", await find(self.scene.world, self.far["far_blocked"])),
            ("mute", self.people["muted"].account.actor_id),
        ):
            assert (await api.post(f"/api/v1/accounts/{id_}/{verb}")).status_code == 200
        await judge_actor(instance, self.people["limited"].account.actor_id, Standing.LIMITED, by=None)
        await find(self.scene.world, self.far["bad_host"])
        await put_host_rule(instance, self.far["bad_host"].server.host, HostAction.BLOCK, account_id=None)
        assert await settled(self.scene.world) == []


HERE = ("plain", "follower", "blocked", "muted", "limited")


@pytest.fixture(scope="module")
def peopled(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a world in which they all have accounts, made once."""
    folder = tmp_path_factory.mktemp("peopled") / "data"
    shutil.copytree(prepared, folder)

    async def make() -> None:
        async with a_world(folder, jobs=False) as world:
            for name in HERE:
                await open_account(world.instance, name, PASSWORD)

    asyncio.run(make())
    return folder


@pytest.fixture
async def stage(peopled: Path, tmp_path: Path) -> AsyncIterator[Stage]:
    async with contextlib.AsyncExitStack() as stack:
        scene = await stack.enter_async_context(a_scene(peopled, tmp_path))
        house = await stack.enter_async_context(people_of(scene.world.instance))
        mira = await house.person("mira")
        people = {name: await house.person(name) for name in HERE}
        far = {"far_plain": scene.bo, "far_blocked": scene.ana, "bad_host": scene.eve}
        yield Stage(scene, house, mira, people, far)


# --------------------------------------------------------------------------------- what others are shown of mira's


SHOWN = table("""
                 stranger plain follower blocked muted limited far_plain far_blocked bad_host
profile             x       x      x        .      x      x        -          -          -
work                x       x      x        .      x      x        -          -          -
any_work            x       x      x        .      x      x        -          -          -
feed                x       x      x        .      x      x        -          -          -
tag                 x       x      x        .      x      x        -          -          -
api_account         x       x      x        .      x      x        -          -          -
api_lookup          x       x      x        .      x      x        -          -          -
api_statuses        x       x      x        .      x      x        -          -          -
api_status          x       x      x        .      x      x        -          -          -
api_context         x       x      x        .      x      x        -          -          -
api_public          x       x      x        .      x      x        -          -          -
api_tag             x       x      x        .      x      x        -          -          -
api_home            -       .      x        .      .      .        -          -          -
search              -       x      x        .      x      x        -          -          -
search_work         -       x      x        .      x      x        -          -          -
thread              x       x      x        .      x      x        -          -          -
ap_actor            x       -      -        -      -      -        x          .          .
ap_note             x       -      -        -      -      -        x          .          .
ap_create           x       -      -        -      -      -        x          .          .
ap_outbox           x       -      -        -      -      -        x          .          .
ap_followers        x       -      -        -      -      -        x          .          .
ap_page             x       -      -        -      -      -        x          .          .
""")


@pytest.mark.row(13)
async def test_who_is_kept_away_is_shown_nothing_of_hers_anywhere(stage: Stage) -> None:
    people = stage.people
    for name in ("follower", "blocked"):
        assert (await people[name].api.post(f"/api/v1/accounts/{stage.mira.account.actor_id}/follow")).status_code == 200
    before = await stage.work(stage.mira, "miras-first #oil")
    opened = await stage.work(people["plain"], "an open question")
    await stage.work(stage.mira, "miras-answer", in_reply_to_id=opened["id"])
    assert "miras-first" in (await people["blocked"].api.get("/api/v1/timelines/home")).text
    await stage.keep_away()
    after = await stage.work(stage.mira, "miras-second #oil")
    wrong = {}
    for (surface, who), mark in SHOWN.items():
        if mark == "-":
            continue
        shown = {await _shows(stage, surface, who, work, opened) for work in (before, after)}
        if shown != {mark == "x"}:
            wrong[surface, who] = shown
    assert wrong == {}


async def _shows(stage: Stage, surface: str, who: str, work: dict[str, Any], opened: dict[str, Any]) -> bool:
    id_, me = work["id"], stage.mira.account.actor_id
    words = "miras-first" if "first" in work["content"] else "miras-second"
    if surface.startswith("ap_"):
        path, wanted = {
            "ap_actor": ("/users/mira", "publicKeyPem"),
            "ap_note": (f"/users/mira/statuses/{id_}", words),
            "ap_create": (f"/users/mira/statuses/{id_}/activity", words),
            "ap_outbox": ("/users/mira/outbox?page=true", words),
            "ap_followers": ("/users/mira/followers", "totalItems"),
            "ap_page": (f"/@mira/{id_}", words),
        }[surface]
        answers = [await _fetch(stage, path, who, new) for new in (False, True)]
        assert {answer.status_code for answer in answers} <= {200, 403, 404}
        if answers[0].status_code != 200:
            assert answers[0].headers.get("cache-control") != "public, max-age=60"
        (seen,) = {wanted in answer.text for answer in answers}
        return seen
    pages = stage.people[who].browser.http if who != "stranger" else stage.scene.world.stranger
    api = stage.people[who].api if who != "stranger" else stage.scene.world.stranger
    page_paths = {
        "profile": "/@mira",
        "work": f"/@mira/{id_}",
        "any_work": f"/works/{id_}",
        "feed": "/@mira/feed.atom",
        "tag": "/tags/oil",
    }
    if surface in page_paths:
        return words in (await pages.get(page_paths[surface], follow_redirects=True)).text
    paths = {
        "api_account": (f"/api/v1/accounts/{me}", '"acct":"mira"'),
        "api_lookup": ("/api/v1/accounts/lookup?acct=mira", '"acct":"mira"'),
        "api_statuses": (f"/api/v1/accounts/{me}/statuses", words),
        "api_status": (f"/api/v1/statuses/{id_}", words),
        "api_context": (f"/api/v1/statuses/{id_}/context", '"ancestors"'),
        "api_public": ("/api/v1/timelines/public", words),
        "api_tag": ("/api/v1/timelines/tag/oil", words),
        "api_home": ("/api/v1/timelines/home", words),
        "search": ("/api/v2/search?q=mira", '"acct":"mira"'),
        "search_work": (f"/api/v2/search?q={work['uri']}", words),
        "thread": (f"/api/v1/statuses/{opened['id']}/context", "miras-answer"),
    }
    path, wanted = paths[surface]
    return wanted in (await api.get(path)).text


async def _fetch(stage: Stage, path: str, who: str, new: bool) -> httpx.Response:
    """A GET as another server sends it, signed in the old or the new way."""
    url = stage.base + path
    if who == "stranger":
        return await stage.scene.world.stranger.get(url, headers=AP)
    actor = stage.far[who]
    sign = sign_request_rfc9421 if new else sign_request
    signed = sign("GET", url, None, actor.key_id, key_pair(actor.number)[0], system_clock())
    return await stage.scene.world.stranger.get(url, headers={**AP, **signed})


@pytest.mark.row(13)
async def test_every_actor_of_a_blocked_host_is_refused_also_its_own_actor_and_names_under_it(stage: Stage) -> None:
    instance = stage.house.instance
    await put_host_rule(instance, "bad.example", HostAction.BLOCK, account_id=None)
    pem = key_pair(0)[0]
    for key, status in (
        ("https://bad.example/actor#main-key", 403),
        ("https://a.b.bad.example/users/x#main-key", 403),
        ("https://BAD.example:443/users/x#main-key", 403),
        ("https://bad.example:8443/users/x", 403),
        ("https://notbad.example/users/x#main-key", 200),
    ):
        signed = sign_request("GET", f"{stage.base}/users/mira", None, key, pem, system_clock())
        answer = await stage.scene.world.stranger.get("/users/mira", headers={**AP, **signed})
        assert answer.status_code == status, key


# ---------------------------------------------------------------------------------------- what others can do to her


DONE = table("""
                 plain follower blocked muted limited far_plain far_blocked bad_host
like_counts        x      x        .      x      x        x          .          .
boost_counts       x      x        .      x      x        x          .          .
reply_stands       x      x        .      x      .        x          .          .
reply_counts       x      x        .      x      x        x          .          .
follow_counts      x      x        .      x      x        x          .          .
like_told          x      x        .      .      .        x          .          .
boost_told         x      x        .      .      .        x          .          .
reply_told         x      x        .      .      .        x          .          .
mention_told       x      x        .      .      .        x          .          .
follow_told        x      x        .      .      .        x          .          .
""")
"""`reply_stands`: under her work, for a stranger. `…_told`: in her notifications."""


@pytest.mark.row(13)
async def test_who_is_kept_away_can_do_nothing_to_her(stage: Stage) -> None:
    await stage.keep_away()
    wrong: dict[tuple[str, str], bool] = {}
    for who in [*stage.people, *stage.far]:
        work = await stage.work(stage.mira, f"for {who}")
        acct = stage.far[who].acct if who in stage.far else who
        counted = await stage.house.instance.storage.read(unseen_count, stage.mira.account.actor_id)
        await (_here if who in stage.people else _from_afar)(stage, who, work)
        assert await settled(stage.scene.world) == []
        held = await stage.scene.work(work["id"])
        thread = (await stage.scene.world.stranger.get(f"/api/v1/statuses/{work['id']}/context")).text
        notices = (await stage.mira.api.get("/api/v1/notifications", params={"limit": 40})).json()
        told = {
            (item["type"], item["status"]["content"] if "status" in item else "")
            for item in notices
            if item["account"]["acct"] == acct
        }
        kinds = {kind for kind, _ in told}
        is_following = any(
            item["followed_by"]
            for item in (await stage.mira.api.get(f"/api/v1/accounts/relationships?id={await _id(stage, who)}")).json()
        )
        found = {
            "like_counts": held["favourites_count"] == 1,
            "boost_counts": held["reblogs_count"] == 1,
            "reply_stands": f"reply-of-{who}" in thread,
            "reply_counts": held["replies_count"] == 1,
            "follow_counts": is_following,
            "like_told": "favourite" in kinds,
            "boost_told": "reblog" in kinds,
            "reply_told": any(f"reply-of-{who}" in words for _, words in told),
            "mention_told": any(f"mention-of-{who}" in words for _, words in told),
            "follow_told": "follow" in kinds,
        }
        new = await stage.house.instance.storage.read(unseen_count, stage.mira.account.actor_id) - counted
        assert new == sum(seen for what, seen in found.items() if what.endswith("_told")), f"the number beside News, after {who}"
        wrong |= {(what, who): seen for what, seen in found.items() if seen != (DONE[what, who] == "x")}
    assert wrong == {}


async def _id(stage: Stage, who: str) -> str:
    if who in stage.people:
        return str(stage.people[who].account.actor_id)
    found = (await stage.mira.api.get("/api/v1/accounts/lookup", params={"acct": stage.far[who].acct})).json()
    return str(found.get("id", "1"))


async def _here(stage: Stage, who: str, work: dict[str, Any]) -> None:
    api = stage.people[who].api
    await api.post(f"/api/v1/accounts/{stage.mira.account.actor_id}/follow")
    await api.post(f"/api/v1/statuses/{work['id']}/favourite")
    await api.post(f"/api/v1/statuses/{work['id']}/reblog")
    await api.post("/api/v1/statuses", data={"status": f"reply-of-{who}", "in_reply_to_id": work["id"]})
    await api.post("/api/v1/statuses", data={"status": f"mention-of-{who} @mira"})


async def _from_afar(stage: Stage, who: str, work: dict[str, Any]) -> None:
    actor, me = stage.far[who], artist_uri(stage.scene.world)
    mention = {"tag": [{"type": "Mention", "href": me, "name": "@mira"}], "cc": [actor.followers, me]}
    said = [
        actor.activity("Follow", me),
        actor.activity("Like", work["uri"]),
        actor.activity("Announce", work["uri"], to=["https://www.w3.org/ns/activitystreams#Public"]),
        actor.create(actor.note(f"<p>reply-of-{who}</p>", inReplyTo=work["uri"], **mention)),
        actor.create(actor.note(f"<p>mention-of-{who}</p>", **mention)),
    ]
    for activity in said:
        answer = await actor.says(stage.scene.world, activity)
        assert answer.status_code == (403 if who == "bad_host" else 202)


async def test_a_blocked_follow_is_answered_by_a_reject(stage: Stage) -> None:
    await stage.keep_away()
    ana = stage.far["far_blocked"]
    asked = ana.activity("Follow", artist_uri(stage.scene.world))
    await stage.scene.heard(ana, asked)
    assert [said["object"]["id"] for said in ana.server.received("Reject")] == [asked["id"]]
    assert ana.server.received("Accept") == []


@pytest.mark.row(13)
async def test_a_blocked_host_sends_no_kind_of_activity_and_its_keys_are_not_fetched(stage: Stage) -> None:
    await put_host_rule(stage.house.instance, stage.scene.eve.server.host, HostAction.BLOCK, account_id=None)
    eve, me = stage.scene.eve, artist_uri(stage.scene.world)
    for kind in (
        "Follow", "Like", "Announce", "Create", "Update", "Delete", "Undo", "Accept", "Reject", "Block", "Flag", "Move", "Dance",
    ):  # fmt: skip
        assert (await eve.says(stage.scene.world, eve.activity(kind, me))).status_code == 403, kind
    assert eve.server.asked == []
    # Nor does anybody else bring its works here, or send this server there.
    note = eve.note("<p>from a blocked host</p>")
    eve.server.holds(note)
    await follow_far(stage.scene.world, stage.scene.bo)
    await stage.scene.heard(stage.scene.bo, stage.scene.bo.activity("Announce", note["id"]))
    stage.scene.far.redirect("/users/elsewhere", eve.uri)
    found = await stage.mira.api.get("/api/v2/search", params={"q": f"{stage.scene.far.url}/users/elsewhere", "resolve": "true"})
    assert found.json()["accounts"] == []
    found = await stage.mira.api.get("/api/v2/search", params={"q": eve.acct, "resolve": "true"})
    assert found.json()["accounts"] == []
    said = await stage.mira.browser.get("/search", params={"q": eve.acct})
    assert f"This server does not speak with {eve.server.host}" in said.text
    assert eve.server.asked == []
    assert "from a blocked host" not in (await stage.mira.api.get("/api/v1/timelines/home")).text


VERBS = (
    "Follow", "Like", "EmojiReact", "Announce", "Create", "Update", "Delete", "Undo", "Accept", "Reject", "Block", "Flag", "Add",
    "Remove", "Move",
)  # fmt: skip


@pytest.mark.row(13)
async def test_whoever_is_suspended_or_of_a_blocked_host_leaves_no_row_by_any_verb_nor_by_any_key(stage: Stage) -> None:
    """CVE-2026-23961: an Update or a boost of what nobody here knew let a suspended actor in."""
    scene, me = stage.scene, artist_uri(stage.scene.world)
    work = await stage.work(stage.mira, "hers")
    bo, eve, ana = scene.bo, scene.eve, scene.ana
    for actor in (bo, eve):
        await find(scene.world, actor)
    await follow_far(scene.world, ana)
    await judge_actor(stage.house.instance, int(await find(scene.world, bo)), Standing.SUSPENDED, by=None)
    await put_host_rule(stage.house.instance, eve.server.host, HostAction.BLOCK, account_id=None)
    assert await settled(scene.world) == []
    before = await stage.house.instance.storage.read(everything)
    for actor, status in ((bo, 202), (eve, 403)):
        note = actor.note(f"<p>words-of-{actor.name}</p>", to=[me], tag=[{"type": "Mention", "href": me, "name": "@mira"}])
        actor.server.holds(note)
        for verb in VERBS:
            of = {"Create": note, "Update": note, "Follow": me, "Move": actor.uri, "Block": me, "Flag": [me, work["uri"]]}
            said = actor.activity(verb, of.get(verb, work["uri"]), to=[me], target=f"{actor.uri}/moved")
            assert (await actor.says(scene.world, said)).status_code == status, verb
            # With a key on a host that is let in it is somebody else's word, and with its own under another's name as well.
            for by, key_id in ((ana, ana.key_id), (actor, ana.key_id)):
                answer = await by.says(scene.world, {**said, "id": f"{said['id']}-again"}, key_id=key_id)
                assert answer.status_code == (403 if actor is eve else 401), verb
        boosts = [ana.activity("Announce", note["id"]), ana.activity("Announce", {**note, "attributedTo": ana.uri})]
        ana.server.redirect(f"/notes/leads-to-{actor.name}", note["id"])
        for boost in [*boosts, ana.activity("Announce", f"{ana.server.url}/notes/leads-to-{actor.name}")]:
            assert (await ana.says(scene.world, boost)).status_code == 202
    assert await settled(scene.world) == []
    after = await stage.house.instance.storage.read(everything)
    changed = {name: [r for r in after[name] if r not in before[name]] for name in after if name not in _TOLD_OF_THEM}
    assert {name: rows for name, rows in changed.items() if rows} == {}
    for path in ("/users/mira", f"/users/mira/statuses/{work['id']}", "/users/mira/outbox"):
        for actor, status in ((bo, 404), (eve, 403)):
            url = stage.base + path
            signed = sign_request("GET", url, None, actor.key_id, key_pair(actor.number)[0], system_clock())
            assert (await scene.world.stranger.get(url, headers={**AP, **signed})).status_code == status


_TOLD_OF_THEM = frozenset({"arrivals", "jobs", "hosts", "looks", "actors", "blocks", "tombstones"})
"""What says that something came, and when an actor was last asked for. What they take back, and that they block her, is taken
from anybody."""


# ----------------------------------------------------------------------------------------- what mira is shown of them


SEEN = table("""
                 plain blocked muted limited far_plain far_blocked bad_host
home               x      .      .      x        x          .          .
boost_in_home      x      .      .      x        -          -          -
public             x      .      .      x        -          -          -
tag                x      .      .      x        x          .          .
thread             x      .      .      x        x          .          .
news               x      .      .      x        x          .          .
profile_works      x      .      x      x        x          .          .
work_page          x      .      x      x        x          .          .
api_status         x      .      x      x        x          .          .
""")
"""She follows all of them before, so that the limited one is one that she follows."""

UNFOLLOWED_LIMITED = {
    "public": False, "tag": False, "thread": False, "news": False, "profile_works": True, "work_page": True, "api_status": True,
}  # fmt: skip


async def test_she_is_shown_nothing_of_whom_she_keeps_away_neither_old_nor_new(stage: Stage) -> None:
    opened = await stage.work(stage.people["follower"], "an open question")
    mine = await stage.work(stage.mira, "mine")
    whos = [who for who in [*stage.people, *stage.far] if who != "follower"]
    for who in whos:
        if who in stage.people:
            answer = await stage.mira.api.post(f"/api/v1/accounts/{stage.people[who].account.actor_id}/follow")
            assert answer.status_code == 200
        else:
            await follow_far(stage.scene.world, stage.far[who])
    old = {who: await _publish(stage, who, "old", opened, mine) for who in whos}
    assert await settled(stage.scene.world) == []
    missing = {
        (what, who) for (what, who), mark in SEEN.items() if mark != "-" and not await _seen(stage, what, who, "old", old, opened)
    }
    assert missing == set(), "before anybody is kept away everything is there"
    await stage.keep_away()
    new = {who: await _publish(stage, who, "new", opened, mine) for who in whos}
    assert await settled(stage.scene.world) == []
    wrong = {}
    for (what, who), mark in SEEN.items():
        for age, works in (("old", old), ("new", new)):
            if mark != "-" and (age, who) != ("new", "bad_host"):
                seen = await _seen(stage, what, who, age, works, opened)
                if seen != (mark == "x"):
                    wrong[what, who, age] = seen
    assert wrong == {}
    await stage.mira.api.post(f"/api/v1/accounts/{stage.people['limited'].account.actor_id}/unfollow")
    for what, expected in UNFOLLOWED_LIMITED.items():
        assert await _seen(stage, what, "limited", "old", old, opened) == expected, what
        if what in ("public", "tag"):
            listed = await stage.scene.world.stranger.get(
                "/api/v1/timelines/public" if what == "public" else "/api/v1/timelines/tag/oil", params={"limit": 40}
            )
            assert "old-work-of-limited" not in listed.text
            assert "old-work-of-plain" in listed.text


async def _publish(stage: Stage, who: str, age: str, opened: dict[str, Any], mine: dict[str, Any]) -> str:
    """A work with a hashtag, a reply to somebody, a boost, a like of hers. Returns the work's id here ('' where it is not)."""
    words, reply = f"{age}-work-of-{who}", f"{age}-reply-of-{who}"
    if who in stage.people:
        person = stage.people[who]
        made = await stage.work(person, f"{words} #oil")
        await stage.work(person, reply, in_reply_to_id=opened["id"])
        boosted = await stage.work(stage.people["follower"], f"{age}-boosted-by-{who}")
        await person.api.post(f"/api/v1/statuses/{boosted['id']}/reblog")
        await person.api.post(f"/api/v1/statuses/{mine['id']}/favourite")
        return str(made["id"])
    actor = stage.far[who]
    note = actor.note(f"<p>{words}</p>", tag=[{"type": "Hashtag", "name": "#oil", "href": "https://x.example/oil"}])
    for said in (
        actor.create(note),
        actor.create(actor.note(f"<p>{reply}</p>", inReplyTo=opened["uri"])),
        actor.activity("Like", mine["uri"]),
    ):
        await actor.says(stage.scene.world, said)
    await settled(stage.scene.world)
    found = await stage.mira.api.get("/api/v2/search", params={"q": note["id"], "type": "statuses"})
    listed = found.json()["statuses"]
    return str(listed[0]["id"]) if listed else "1"


async def _seen(stage: Stage, what: str, who: str, age: str, works: dict[str, str], opened: dict[str, Any]) -> bool:
    words = f"{age}-work-of-{who}"
    api, pages = stage.mira.api, stage.mira.browser
    handle = stage.far[who].acct if who in stage.far else who
    if what in ("home", "boost_in_home"):
        wanted = words if what == "home" else f"{age}-boosted-by-{who}"
        both = {
            wanted in (await api.get("/api/v1/timelines/home", params={"limit": 40})).text,
            any([wanted in (await pages.get(path)).text for path in await _home_pages(stage)]),
        }
        (seen,) = both
        return seen
    asks: dict[str, Callable[[], Awaitable[httpx.Response]]] = {
        "public": lambda: api.get("/api/v1/timelines/public", params={"limit": 40}),
        "tag": lambda: api.get("/api/v1/timelines/tag/oil", params={"limit": 40}),
        "thread": lambda: api.get(f"/api/v1/statuses/{opened['id']}/context"),
        "news": lambda: api.get("/api/v1/notifications", params={"limit": 40}),
        "profile_works": lambda: pages.get(f"/@{handle}"),
        "work_page": lambda: pages.get(f"/works/{works[who]}", follow_redirects=True),
        "api_status": lambda: api.get(f"/api/v1/statuses/{works[who]}"),
    }
    answer = await asks[what]()
    if what == "news":
        # By the like of the old time and of the new one: told once.
        return any(item["account"]["acct"] == handle for item in answer.json())
    if what == "thread":
        words = f"{age}-reply-of-{who}"
        page = (await pages.get(f"/works/{opened['id']}", follow_redirects=True)).text
        assert (words in page) == (words in answer.text)
    return words in answer.text


async def _home_pages(stage: Stage) -> list[str]:
    """The addresses of the pages of her home."""
    paths, at = ["/home"], "/home"
    for _ in range(5):
        body = (await stage.mira.browser.get(at)).text
        if "/home?max_id=" not in body:
            break
        at = "/home?max_id=" + body.split("/home?max_id=")[1].split('"')[0]
        paths.append(at)
    return paths


# ----------------------------------------------------------------------------------------------------- what is sent


async def test_nothing_of_hers_is_delivered_to_whom_she_blocks_nor_to_a_blocked_host(stage: Stage) -> None:
    scene, me = stage.scene, artist_uri(stage.scene.world)
    for actor in (scene.ana, scene.eve):
        await scene.heard(actor, actor.activity("Follow", me))
    await stage.work(stage.mira, "before")
    await until(lambda: len(scene.far.received("Create")) == len(scene.other.received("Create")) == 1)
    await stage.keep_away()
    (rejected,) = scene.far.received("Reject")
    assert rejected["object"]["actor"] == scene.ana.uri
    (block,) = scene.far.received("Block")
    assert (block["actor"], block["object"]) == (me, scene.ana.uri)
    told = len(scene.other.asked)
    after = await stage.work(stage.mira, f"after @{scene.ana.acct} @{scene.eve.acct}")
    await stage.mira.api.put(f"/api/v1/statuses/{after['id']}", data={"status": "after, edited"})
    quiet = await stage.work(stage.mira, f"only for @{scene.ana.acct}", visibility="direct")
    assert await settled(scene.world) == []
    assert quiet["visibility"] == "direct"
    assert len(scene.far.received("Create")) == 1
    assert scene.far.received("Update") == []
    assert len(scene.other.asked) == told
    assert (await scene.mira())["followers_count"] == 0
    # Somebody else there still gets it, and it is not addressed to whom she blocks.
    await scene.heard(scene.bo, scene.bo.activity("Follow", me))
    await stage.work(stage.mira, "for bo")
    await until(lambda: len(scene.far.received("Create")) == 2)
    assert scene.ana.uri not in str(scene.far.received("Create")[-1])
    # Taken back, it is said; the follow does not come back by it.
    await stage.mira.api.post(f"/api/v1/accounts/{await find(scene.world, scene.ana)}/unblock")
    (undone,) = await until(lambda: scene.far.received("Undo"))
    assert (undone["object"]["type"], undone["object"]["id"]) == ("Block", block["id"])
    assert (await scene.mira())["followers_count"] == 1
    assert (await _fetch(stage, "/users/mira", "far_blocked", False)).status_code == 200


async def test_who_blocks_her_from_elsewhere_is_left_alone_and_she_is_not_told(stage: Stage) -> None:
    scene, me = stage.scene, artist_uri(stage.scene.world)
    account_id = await follow_far(scene.world, scene.ana)
    await scene.heard(scene.ana, scene.ana.activity("Follow", me))
    await scene.heard(scene.ana, scene.ana.create(scene.ana.note("<p>anas-evening</p>")))
    assert "anas-evening" in (await stage.mira.api.get("/api/v1/timelines/home")).text
    block = scene.ana.activity("Block", me)
    notices = (await stage.mira.api.get("/api/v1/notifications")).json()
    await scene.heard(scene.ana, block)
    held = (await stage.mira.api.get("/api/v1/accounts/relationships", params={"id": account_id})).json()[0]
    assert (held["following"], held["followed_by"], held["blocked_by"], held["blocking"]) == (False, False, False, False)
    assert "anas-evening" not in (await stage.mira.api.get("/api/v1/timelines/home")).text
    after = (await stage.mira.api.get("/api/v1/notifications")).json()
    assert [item for item in after if item not in notices] == []
    page = await stage.mira.browser.get(f"/@{scene.ana.acct}")
    assert page.status_code == 200
    assert "anas-evening" not in page.text
    assert "Mute, block or report" in page.text
    assert "You block" not in page.text
    told = len(scene.far.received("Create"))
    await stage.work(stage.mira, f"a new one @{scene.ana.acct}")
    assert await settled(scene.world) == []
    assert len(scene.far.received("Create")) == told
    await scene.heard(scene.ana, scene.ana.activity("Undo", block))
    assert "anas-evening" in (await stage.mira.browser.get(f"/@{scene.ana.acct}")).text
