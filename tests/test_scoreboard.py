"""The scoreboard of signals and capabilities, row by row: one server is asked everything once, then each row is read from that.

Signals are read by parsers that we did not write, where there is one for them; behaviour is what was answered over HTTP.
`python -m tests.test_scoreboard` writes the table in docs/scoreboard.md anew.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.robotparser import RobotFileParser

import httpx
import pytest
from protego import Protego

from fediart.activitypub.vocabulary import FEDIART
from fediart.domain.known_agents import KNOWN, MORE
from fediart.domain.origin import Level
from fediart.domain.policy import Reserve
from fediart.media.sample import draw_sample
from fediart.office.adopt_policy import adopt_policy
from tests.exiftool import read_tags
from tests.far_server import a_far_server, follow, home, settled
from tests.json_ld import expanded
from tests.judged import a_file, a_moderator, becomes, decide, drafted, press, sent_out, waiting, words_of
from tests.people import people_of
from tests.test_credentials import assertions_in
from tests.test_credentials import read as read_credentials
from tests.test_reservation import AP, BASE, YES, may_train, post, rsl_of, shown, tdm_of
from tests.world import a_world

DOCS = Path(__file__).parents[1] / "docs" / "scoreboard.md"
CRAWLER = {"user-agent": "Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)"}
SC, TDM = "http://schema.org/", "http://www.w3.org/ns/tdmrep#"


@dataclass(frozen=True)
class Heard:
    """What a server with its usual policy answered to strangers and to people; with Content Credentials, which are optional."""

    folder: Path
    files: dict[str, httpx.Response]
    """robots.txt and the other files for machines, by path."""
    page: httpx.Response
    picture: httpx.Response
    document: httpx.Response
    own_picture: httpx.Response
    """Of another work, for which its artist allowed training."""
    own_document: httpx.Response
    refused: list[httpx.Response]
    """Page and picture, asked for by an AI crawler's name."""
    labelled_page: httpx.Response
    labelled_document: httpx.Response
    copies: list[httpx.Response]
    """Our copies of two pictures of another server, of which the second came with a reservation; we reserve nothing then."""
    uploaded: bytes
    composer: str
    """What its artist reads of a file that says that AI made it, and of one in which nothing stands."""
    asked: httpx.Response
    queue: str
    told: str
    after: httpx.Response
    """What an artist asked about: the answer to asking, the moderators' queue, their word as she reads it, the work after it."""


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Heard:
    return asyncio.run(_ask(tmp_path_factory.mktemp("scoreboard")))


async def _ask(folder: Path) -> Heard:
    async with (
        a_far_server() as far,
        a_world(folder / "data", **{"ai_policy.reserve.c2pa": True}) as world,
        people_of(world.instance) as people,
    ):
        get, instance = world.stranger.get, world.instance
        mira, vera = await people.person("mira"), await a_moderator(people, "vera")
        work, own = await post(world), await post(world, draw_sample(160, 120, seed=2))
        paths = ("/robots.txt", "/.well-known/tdmrep.json", "/tdm-policy.json", "/license.xml", "/ai-policy")
        files = {path: await get(path) for path in paths}
        page, picture = f"/@mira/{work['id']}", work["media_attachments"][0]["url"]
        usual = (await get(page), await get(picture), await get(page, headers=AP))
        refused = [await get(path, headers=CRAWLER) for path in (page, picture)]

        edit = f"/works/{own['id']}/edit"
        said = {"text": "evening", "reserve": "own", "training": "1", "ai_input": "1", "search": "1"}
        assert (await mira.browser.send(edit, said, page=edit)).status_code == 303
        parts = await sent_out(mira, draw_sample(96, 64, seed=3), declaration="parts-ai")
        await becomes(instance, parts, "published")
        assert await settled(world) == []
        own = await shown(world, own["id"])
        otherwise = (await get(own["media_attachments"][0]["url"]), await get(own["uri"], headers=AP))
        labelled = (await get(f"/@mira/{parts}"), await get(f"/@mira/{parts}", headers=AP))

        uploaded = a_file(Level.DECLARED)
        draft, _ = await drafted(mira, uploaded, draw_sample(96, 64, seed=4))
        composer = words_of(await mira.browser.get(draft))
        asked = await press(mira, draft, "ask", appeal="The label comes from a filter of my camera.")
        (review,) = await waiting(instance)
        queue = words_of(await vera.browser.get(f"/admin/review/{review.id}"))
        await decide(vera, review.id, "clear", "We saw your layers.")
        await becomes(instance, review.work_id or 0, "published")
        told, after = words_of(await mira.browser.get("/decisions")), await get(f"/@mira/{review.work_id}")

        ana = far.actor("ana")
        await follow(world, ana)
        await adopt_policy(instance, replace(instance.policy, reserve=Reserve(YES, YES, YES)), None)
        far.serve("/0.jpg", draw_sample(96, 64, seed=9), content_type="image/jpeg")
        far.serve("/1.jpg", draw_sample(96, 64, seed=10), content_type="image/jpeg", x_robots_tag="noai, noimageai")
        pictures = [{"type": "Image", "mediaType": "image/jpeg", "url": f"{far.url}/{number}.jpg"} for number in range(2)]
        await ana.says(world, ana.create(ana.note(attachment=pictures)))
        assert await settled(world) == []
        copies = [await get(held["url"]) for held in (await home(world))[0]["media_attachments"]]
        return Heard(folder, files, *usual, *otherwise, refused, *labelled, copies, uploaded, composer, asked, queue, told, after)


class _Head(HTMLParser):
    """The names and contents of a page's meta tags, as Python's own parser finds them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = dict(attrs)
        if tag == "meta" and held.get("name"):
            self.found[str(held["name"])] = held.get("content") or ""


# ----------------------------------------------------------------------------------------------------------- the rows


def _robots(heard: Heard) -> None:
    text = heard.files["/robots.txt"].text
    protego, urllib = Protego.parse(text), RobotFileParser()
    urllib.parse(text.splitlines())
    names = {word for agent in (*KNOWN, *MORE) for word in agent.words}
    by_both = [
        name for name in names if not protego.can_fetch(f"{BASE}/@mira", name) and not urllib.can_fetch(name, f"{BASE}/@mira")
    ]
    assert len(by_both) >= 150
    assert protego.can_fetch(f"{BASE}/@mira", "Googlebot")
    assert urllib.can_fetch("Mastodon", f"{BASE}/@mira")


def _content_signal(heard: Heard) -> None:
    assert _of_everyone(heard, "Content-Signal") == ["search=yes, ai-input=no, ai-train=no"]
    for answer in (heard.page, heard.picture, heard.document):
        assert answer.headers["content-signal"] == "search=yes, ai-input=no, ai-train=no"


def _of_everyone(heard: Heard, name: str) -> list[str]:
    """What robots.txt says under this name in the group for every robot."""
    (group,) = re.findall(r"(?ms)^User-agent: \*\n(.*?)(?:\n\n|\Z)", heard.files["/robots.txt"].text)
    return re.findall(rf"(?m)^{name}: (.*)$", group)


def _aipref(heard: Heard) -> None:
    assert _of_everyone(heard, "Content-Usage")[0] == "train-ai=n, search=y"
    assert {answer.headers["content-usage"] for answer in (heard.page, heard.picture, heard.document)} == {"train-ai=n"}


def _tdmrep(heard: Heard) -> None:
    rules = heard.files["/.well-known/tdmrep.json"].json()
    assert {tdm_of(rules, path) for path in ("/", "/@mira/1", "/media/ab/x.jpg")} == {1}
    assert heard.files["/tdm-policy.json"].json()["profile"] == "http://www.w3.org/ns/tdmrep"


def _tdm_on_media(heard: Heard) -> None:
    assert heard.picture.headers["tdm-reservation"] == "1"
    assert heard.picture.headers["tdm-policy"] == f"{BASE}/tdm-policy.json"
    assert not may_train(heard.picture)


def _rsl(heard: Heard) -> None:
    assert rsl_of(heard.files["/license.xml"].text, "/@mira") == ("search", "ai-all")
    for answer in (heard.page, heard.picture):
        assert answer.links["license"] == {"url": f"{BASE}/license.xml", "rel": "license", "type": "application/rsl+xml"}
    assert f"License: {BASE}/license.xml" in heard.files["/robots.txt"].text.splitlines()


def _noai_meta(heard: Heard) -> None:
    assert {"noai", "noimageai"} <= set(_Head(heard.page.text).found["robots"].split(", "))


def _noai_on_media(heard: Heard) -> None:
    assert {"noai", "noimageai"} <= set(heard.picture.headers["x-robots-tag"].split(", "))
    assert not may_train(heard.picture)


def _noarchive(heard: Heard) -> None:
    for said in (
        _Head(heard.page.text).found["robots"],
        heard.page.headers["x-robots-tag"],
        heard.picture.headers["x-robots-tag"],
    ):
        assert "noarchive" in said.split(", ")


def _data_mining(heard: Heard) -> None:
    tags = read_tags(heard.picture.content, heard.folder)
    assert tags["XMP-plus:DataMining"].rpartition("/")[2] == "DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING"


def _c2pa(heard: Heard) -> None:
    found = assertions_in(read_credentials(heard.picture.content))
    for prefix in ("cawg", "c2pa"):
        assert found[f"{prefix}.training-mining"]["entries"][f"{prefix}.ai_training"] == {"use": "notAllowed"}


def _by_default(heard: Heard) -> None:
    """Its artist chose nothing, and the settings file says nothing of it."""
    assert [may_train(answer) for answer in (heard.page, heard.picture, heard.document)] == [False] * 3
    assert "Where an artist says nothing else: AI may not be trained on it" in heard.files["/ai-policy"].text


def _per_work(heard: Heard) -> None:
    assert (may_train(heard.picture), may_train(heard.own_picture)) == (False, True)
    mining = read_tags(heard.own_picture.content, heard.folder)["XMP-plus:DataMining"].rpartition("/")[2]
    assert (mining, heard.own_document.json()["contentUsage"]) == ("DMI-ALLOWED", "train-ai=y")


def _federated(heard: Heard) -> None:
    found = expanded(heard.document.json())
    picture = found["https://www.w3.org/ns/activitystreams#attachment"][0]
    for part in (found, picture):
        assert part[f"{FEDIART}contentUsage"] == [{"@value": "train-ai=n"}]
        assert part[f"{TDM}reservation"][0]["@value"] == 1
        assert part[f"{SC}usageInfo"] == [{"@id": f"{BASE}/ai-policy"}]


def _refused(heard: Heard) -> None:
    assert [answer.status_code for answer in (*heard.refused, heard.page, heard.picture)] == [403, 403, 200, 200]


def _copies(heard: Heard) -> None:
    assert [(answer.status_code, may_train(answer)) for answer in heard.copies] == [(200, True), (200, False)]


def _self_label(heard: Heard) -> None:
    assert "Its artist says: parts made with AI" in words_of(heard.labelled_page)
    tags = expanded(heard.labelled_document.json())["https://www.w3.org/ns/activitystreams#tag"]
    assert [tag["@type"] for tag in tags if "https://w3id.org/fep/4c96#Label" in tag["@type"]] == [
        ["https://w3id.org/fep/4c96#Label"]
    ]


def _origin(heard: Heard) -> None:
    tags = read_tags(heard.uploaded, heard.folder, "upload.png")
    assert tags["XMP-iptcExt:DigitalSourceType"].rpartition("/")[2] == "trainedAlgorithmicMedia", "by ExifTool"
    assert "0.png" not in heard.composer or "The IPTC field" in heard.composer
    assert heard.composer.count("The file says: The IPTC field “Digital Source Type” of this file says") == 1, (
        "of the one that says so"
    )


def _appeal(heard: Heard) -> None:
    assert heard.asked.status_code == 303
    assert "The label comes from a filter of my camera." in heard.queue
    assert "We saw your layers." in heard.told
    assert heard.after.status_code == 200


@dataclass(frozen=True)
class Row:
    """One row: what it is, where it is seen, who reads it there."""

    name: str
    where: str
    reader: str
    holds: Callable[[Heard], None]


BY_HTTP = "over HTTP"
BY_BYTES = "the bytes of the specification"
ROWS = (
    Row("robots.txt names AI crawlers", "`/robots.txt`, at least 150 of them", "Protego, urllib.robotparser", _robots),
    Row("Content-Signal", "`/robots.txt`, every answer", BY_BYTES, _content_signal),
    Row("AIPREF Content-Usage (header and robots.txt)", "`/robots.txt`, every answer", BY_BYTES, _aipref),
    Row("tdmrep.json", "`/.well-known/tdmrep.json`, `/tdm-policy.json`", "JSON, the first rule that fits", _tdmrep),
    Row("TDM headers on media", "every picture", "datadiligence", _tdm_on_media),
    Row("RSL 1.0", "`/license.xml`, `/robots.txt`, `Link` of every answer", "ElementTree, httpx", _rsl),
    Row("noai in the page", "`<meta name=\"robots\">`", "html.parser", _noai_meta),
    Row("X-Robots-Tag noai on media", "every picture", "datadiligence", _noai_on_media),
    Row("noarchive, which Bing and Amazon read, for everyone", "pages and pictures", BY_BYTES, _noarchive),
    Row("IPTC/PLUS DataMining in the file", "every picture", "ExifTool", _data_mining),
    Row("C2PA/CAWG training-mining (optional: `fediart[c2pa]`)", "every picture", "c2pa-python", _c2pa),
    Row("Reserved by default", "page, picture, document; `/ai-policy`", "datadiligence", _by_default),
    Row("Each work can say otherwise", "Edit, then picture and document", "datadiligence, ExifTool", _per_work),
    Row("The reservation federates", "the ActivityPub document", "PyLD", _federated),
    Row("AI crawlers are refused", "403 on page and picture", BY_HTTP, _refused),
    Row("Copies of others' pictures say what came with them", "`/media/…` of another server's picture", "datadiligence", _copies),
    Row("AI self-label on posts", "the work's page and document", "PyLD", _self_label),
    Row("Origin is read at upload, the evidence shown", "the composer", "ExifTool (that the file says it)", _origin),
    Row("AI decisions can be appealed", "composer, `/admin/review`, `/decisions`", BY_HTTP, _appeal),
)  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[f"{number}: {row.name}" for number, row in enumerate(ROWS, 1)])
def test_this_row_of_the_scoreboard_holds(row: Row, heard: Heard) -> None:
    row.holds(heard)


def table() -> str:
    lines = ["| | signal or capability | where it is seen | read by |", "| --- | --- | --- | --- |"]
    lines += [f"| {number} | {row.name} | {row.where} | {row.reader} |" for number, row in enumerate(ROWS, 1)]
    return "\n".join(lines) + "\n"


_IN_DOCS = re.compile(r"(?s)\| \| signal or capability .*?\|\n(?!\|)")


def test_the_table_in_the_docs_is_this_one() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert _IN_DOCS.findall(text) == [table()]
    assert f"{len(ROWS)} of {len(ROWS)}" in text


if __name__ == "__main__":
    DOCS.write_text(_IN_DOCS.sub(lambda _: table(), DOCS.read_text(encoding="utf-8")), encoding="utf-8")
