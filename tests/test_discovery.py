"""How other servers find what is here: WebFinger, NodeInfo, actors, works and collections, as strict readers want them."""

from __future__ import annotations

import html
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from fediart.activitypub.identifiers import is_web_uri
from fediart.activitypub.parsers.actor import parse_actor
from fediart.activitypub.parsers.note import parse_note
from fediart.activitypub.signatures.keys import load_multikey, load_public
from fediart.activitypub.vocabulary import AS, AS_PUBLIC
from fediart.media.sample import draw_sample
from fediart.storage import actors, departures
from tests.far_server import AP, artist_uri
from tests.people import PASSWORD, people_of
from tests.scene import Scene, a_scene
from tests.waiting import until
from tests.world import World, a_world

pytestmark = pytest.mark.anyio
LD = 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'
NODEINFO = "http://nodeinfo.diaspora.software/ns/schema/"


@pytest.fixture
async def scene(prepared: Path, tmp_path: Path) -> AsyncIterator[Scene]:
    async with a_scene(prepared, tmp_path) as opened:
        yield opened


async def ask(world: World, path: str, accept: str = AP, **headers: str) -> httpx.Response:
    return await world.stranger.get(path, headers={"accept": accept, **headers})


async def document(world: World, path: str, accept: str = AP) -> dict[str, Any]:
    answer = await ask(world, path, accept)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == AP, "Pixelfed and Lemmy compare the whole string"
    assert {"accept", "signature"} <= set(answer.headers["vary"].lower().replace(" ", "").split(","))
    found: dict[str, Any] = answer.json()
    return found


async def webfinger(world: World, resource: str | None, **more: Any) -> httpx.Response:
    params: dict[str, Any] = {} if resource is None else {"resource": resource}
    return await world.stranger.get("/.well-known/webfinger", params={**params, **more})


# --------------------------------------------------------------------------------------------------------------- WebFinger


@pytest.mark.row(11)
async def test_a_handle_and_its_actor_loop_back_to_each_other(scene: Scene) -> None:
    world = scene.world
    for resource in ("acct:mira@localhost:8000", "acct:Mira@LOCALHOST:8000", artist_uri(world), "http://localhost:8000/@mira"):
        answer = await webfinger(world, resource)
        assert answer.status_code == 200, resource
        assert answer.headers["content-type"] == "application/jrd+json"
        assert answer.headers["access-control-allow-origin"] == "*"
        jrd = answer.json()
        assert jrd["subject"] == "acct:mira@localhost:8000"
        (own,) = [link for link in jrd["links"] if link["rel"] == "self"]
        assert own == {"rel": "self", "type": AP, "href": artist_uri(world)}
        shown = await document(world, own["href"])
        assert shown["id"] == own["href"]
        (rfc9421,) = shown["generator"]["implements"]
        assert rfc9421["href"] == "https://datatracker.ietf.org/doc/html/rfc9421"
        assert f"acct:{shown['preferredUsername']}@localhost:8000" == jrd["subject"]
        assert set(jrd["aliases"]) == {shown["id"], shown["url"]}
        links = {link["rel"]: link for link in jrd["links"]}
        assert links["http://webfinger.net/rel/profile-page"]["href"] == shown["url"]
        assert links["http://ostatus.org/schema/1.0/subscribe"]["template"].count("{uri}") == 1
        for name, word in (("Follow", "object"), ("Object", "object"), ("Create", "content")):
            template = links[f"https://w3id.org/fep/3b86/{name}"]["template"]
            assert template.startswith("http://localhost:8000/")
            assert template.count(f"={{{word}}}") == 1
        assert shown["webfinger"] == jrd["subject"].removeprefix("acct:")


@pytest.mark.parametrize(
    "resource",
    [
        None,
        "",
        "mira",
        "mira@localhost:8000",
        "acct:mira",
        "acct:@localhost:8000",
        "acct:",
        "acct:a@b@c",
        "=acct:mira@x",
        "http://",
        "https://",
        "mailto:",
        "javascript:alert (1)",
        "acct:mira@",
        "x" * 5000,
    ],
)
async def test_what_is_no_resource_is_answered_400(scene: Scene, resource: str | None) -> None:
    answer = await webfinger(scene.world, resource)
    assert answer.status_code == 400
    assert answer.headers["access-control-allow-origin"] == "*", "or a browser's program cannot read why"


@pytest.mark.parametrize(
    "resource",
    [
        "acct:nobody@localhost:8000",
        "acct:mira@other.example",
        "acct:mira@localhost",
        "http://localhost:8000/@nobody",
        "http://localhost:8000/users/mira/statuses/1",
        "http://other.example/users/mira",
        "acct:mi%ra@localhost:8000",
        "acct:а@localhost:8000",
        "mailto:mira@localhost:8000",
        "ftp://localhost:8000/@mira",
        "urn:isbn:0451450523",
    ],
)
async def test_who_is_not_here_is_answered_404(scene: Scene, resource: str) -> None:
    answer = await webfinger(scene.world, resource)
    assert answer.status_code == 404
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("resource", ["acct:mira@localhost:8000", "acct:localhost:8000@localhost:8000"])
async def test_only_the_relations_that_are_asked_for_are_told(scene: Scene, resource: str) -> None:
    one = (await webfinger(scene.world, resource, rel="self")).json()
    assert [link["rel"] for link in one["links"]] == ["self"]
    two = (await webfinger(scene.world, resource, rel=["self", "http://webfinger.net/rel/profile-page", "x"])).json()
    assert {link["rel"] for link in two["links"]} == {"self", "http://webfinger.net/rel/profile-page"}
    assert (await webfinger(scene.world, resource, rel="x")).json()["links"] == []


@pytest.mark.parametrize(
    "resource", ["acct:localhost:8000@localhost:8000", "http://localhost:8000", "http://localhost:8000/actor"]
)
async def test_the_servers_own_actor_is_found_under_its_hosts_name(scene: Scene, resource: str) -> None:
    jrd = (await webfinger(scene.world, resource)).json()
    assert jrd["subject"] == "acct:localhost:8000@localhost:8000"
    (own,) = [link for link in jrd["links"] if link["rel"] == "self"]
    shown = await document(scene.world, own["href"])
    assert (shown["id"], shown["type"]) == (own["href"], "Application")
    assert shown["webfinger"] == "localhost:8000@localhost:8000"
    assert not [link for link in jrd["links"] if "template" in link], "nobody acts as a server"


async def test_whoever_was_deleted_is_gone_under_every_address(scene: Scene) -> None:
    world = scene.world
    await world.instance.storage.write(lambda db: actors.change_actor(db, world.artist.actor_id, gone=True))
    await world.instance.storage.write(departures.forget_keys)
    for resource in ("acct:mira@localhost:8000", artist_uri(world), "http://localhost:8000/@mira"):
        answer = await webfinger(world, resource)
        assert answer.status_code == 410
        assert answer.headers["access-control-allow-origin"] == "*"
    for path in ("", "/outbox", "/followers", "/collections/featured", "/statuses/1"):
        assert (await ask(world, artist_uri(world) + path)).status_code == 410


async def test_a_button_on_another_site_leads_to_what_it_says_through_sign_in(scene: Scene) -> None:
    """By the templates of WebFinger. Nothing is followed or published before somebody says so here."""
    links = {
        link["rel"]: link.get("template", "")
        for link in (await webfinger(scene.world, "acct:mira@localhost:8000")).json()["links"]
    }
    follow = links["https://w3id.org/fep/3b86/Follow"].replace("{object}", quote(scene.ana.uri, safe=""))
    share = links["https://w3id.org/fep/3b86/Create"].replace("{content}", quote("Look: <b>&\nwell", safe=""))
    async with people_of(scene.world.instance) as people:
        await people.person("mira")
        for address in (follow, share):
            browser = await people.browser()
            asked = await browser.get(address)
            assert asked.status_code == 303
            page = asked.headers["location"]
            assert page.startswith("/sign-in?back=")
            back = html.unescape(re.findall(r'name="back" value="([^"]*)"', (await browser.get(page)).text)[0])
            assert address.endswith(back)
            wrong = await browser.send("/sign-in", {"username": "mira", "password": "wrong", "back": back}, page=page)
            assert html.escape(back, quote=True) in wrong.text
            done = await browser.send("/sign-in", {"username": "mira", "password": PASSWORD, "back": back}, page=page)
            assert done.headers["location"] == back
            led = await browser.get(back)
            if address is follow:
                assert (await browser.get(led.headers["location"])).headers["location"].startswith("/@ana@")
                continue
            assert "Look: &lt;b&gt;&amp;\nwell</textarea>" in led.text
            begun = await browser.send("/compose", {"text": "Look: well"}, page=back)
            assert "Look: well" in (await browser.get(begun.headers["location"])).text
        for elsewhere in ("//evil.example", "https://evil.example/", "/\\evil.example", "x"):
            fresh = await people.browser()
            assert 'name="back"' not in (await fresh.get(f"/sign-in?back={quote(elsewhere, safe='')}")).text
            done = await fresh.send("/sign-in", {"username": "mira", "password": PASSWORD, "back": elsewhere}, page="/sign-in")
            assert done.headers["location"] == "/home"
    assert scene.far.received("Follow") == []


async def test_an_account_domain_of_its_own_stands_in_handles_and_the_host_in_ids(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"instance.url": "https://art.example", "instance.account_domain": "artists.example"}
    async with a_world(tmp_path, **settings) as world:
        for resource in ("acct:mira@artists.example", "acct:mira@art.example", "https://art.example/@mira"):
            jrd = (await webfinger(world, resource)).json()
            assert jrd["subject"] == "acct:mira@artists.example"
            assert [link["href"] for link in jrd["links"] if link["rel"] == "self"] == ["https://art.example/users/mira"]
        assert (await webfinger(world, "acct:art.example@art.example")).json()["subject"] == "acct:art.example@artists.example"
        shown = await document(world, "https://art.example/users/mira")
        assert all(urls.startswith("https://art.example/") for urls in (shown["id"], shown["inbox"], shown["url"]))


async def test_host_meta_names_webfinger_in_both_forms(scene: Scene) -> None:
    template = "http://localhost:8000/.well-known/webfinger?resource={uri}"
    xml = await scene.world.stranger.get("/.well-known/host-meta")
    assert xml.headers["content-type"].startswith("application/xrd+xml")
    first = ElementTree.fromstring(xml.text)[0]
    assert (first.attrib["rel"], first.attrib["template"]) == ("lrdd", template)
    for path, accept in (("/.well-known/host-meta.json", "*/*"), ("/.well-known/host-meta", "application/json")):
        answer = await ask(scene.world, path, accept)
        assert answer.json()["links"][0] == {"rel": "lrdd", "template": template}
        assert answer.headers["content-type"] == "application/json"
    assert xml.headers["access-control-allow-origin"] == answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("version", ["2.0", "2.1"])
async def test_nodeinfo_has_the_shape_of_its_schema(scene: Scene, version: str) -> None:
    await scene.post("one work")
    listed = (await scene.world.stranger.get("/.well-known/nodeinfo")).json()["links"]
    (href,) = [link["href"] for link in listed if link["rel"] == NODEINFO + version]
    assert "https://www.w3.org/ns/activitystreams#Application" in {link["rel"] for link in listed}
    answer = await scene.world.stranger.get(href)
    assert answer.headers["content-type"] == f'application/json; profile="{NODEINFO}{version}#"'
    assert answer.headers["access-control-allow-origin"] == "*"
    info = answer.json()
    assert set(info) == {"version", "software", "protocols", "services", "openRegistrations", "usage", "metadata"}
    assert info["version"] == version
    assert set(info["software"]) <= {"name", "version", *(["repository", "homepage"] if version == "2.1" else [])}
    assert re.fullmatch(r"[a-z0-9-]+", info["software"]["name"])
    assert info["protocols"] == ["activitypub"]
    assert info["services"] == {"inbound": [], "outbound": []}
    assert info["openRegistrations"] is False
    assert set(info["usage"]) <= {"users", "localPosts", "localComments"}
    assert info["usage"]["users"]["total"] == 1
    assert info["usage"]["localPosts"] == 1


async def test_nodeinfo_of_another_version_is_not_there(scene: Scene) -> None:
    for version in ("1.0", "2.2", "x", "2.0/"):
        assert (await scene.world.stranger.get(f"/nodeinfo/{version}")).status_code == 404


# ------------------------------------------------------------------------------------------------------------------ actors


def check_strict_actor(shown: dict[str, Any], *, is_person: bool) -> None:
    """The intersection of what Mastodon, Misskey, Pixelfed, Vernissage and Lemmy take."""
    host = "http://localhost:8000/"
    assert AS in shown["@context"]
    assert isinstance(shown["id"], str)
    assert shown["type"] == ("Person" if is_person else "Application")
    assert isinstance(shown["name"], str)
    assert shown["name"]
    assert isinstance(shown["manuallyApprovesFollowers"], bool)
    key = shown["publicKey"]
    assert isinstance(key, dict), "never a list: Pixelfed and Lemmy read one object"
    assert set(key) == {"id", "owner", "publicKeyPem"}
    assert (key["owner"], key["id"].split("#")[0]) == (shown["id"], shown["id"])
    assert load_public(key["publicKeyPem"]) is not None
    (multikey,) = shown["assertionMethod"]
    assert multikey.items() >= {"id": f"{shown['id']}#ed25519-key", "type": "Multikey", "controller": shown["id"]}.items()
    assert load_multikey(multikey["publicKeyMultibase"]) is not None
    mine = ["id", "inbox", "outbox", "url", *(["followers", "following", "featured"] if is_person else [])]
    for name in mine:
        assert isinstance(shown[name], str), name
        assert shown[name].startswith(host), name
    assert shown["endpoints"]["sharedInbox"] == host + "inbox"
    for name in ("alsoKnownAs", "attachment", "tag"):
        assert isinstance(shown.get(name, []), list), name
    terms = {term for part in shown["@context"] if isinstance(part, dict) for term in part}
    assert {"manuallyApprovesFollowers", "alsoKnownAs", "featured", "PropertyValue"} <= terms


async def test_an_artist_is_shown_as_the_strictest_readers_want_it(scene: Scene) -> None:
    shown = await document(scene.world, artist_uri(scene.world))
    check_strict_actor(shown, is_person=True)
    assert shown["published"].endswith("T00:00:00.000Z"), "the day only"
    assert isinstance(shown["summary"], str)
    assert "icon" not in shown, "no picture is better than an empty one"
    read = parse_actor(shown)
    assert (read.username, read.uri) == ("mira", artist_uri(scene.world))


async def test_an_avatar_is_told_with_its_description_once_it_is_cloaked(scene: Scene) -> None:
    async with people_of(scene.world.instance) as people:
        mira = await people.person("mira")
        files = {"avatar": ("me.jpg", draw_sample(320, 320), "image/jpeg")}
        fields = {"name": "Mira <Sol>", "bio": "Oil & water", "field-name-0": "Site", "field-value-0": "https://mira.example"}
        sent = await mira.browser.send("/settings/profile", fields, page="/settings/profile", files=files)
        assert sent.status_code == 303

    async def has_icon() -> Any:
        return (await document(scene.world, artist_uri(scene.world))).get("icon")

    icon = await until(has_icon)
    assert (icon["type"], icon["mediaType"]) == ("Image", "image/jpeg")
    assert isinstance(icon["url"], str)
    assert isinstance(icon["summary"], str)
    links = {link["rel"]: link for link in (await webfinger(scene.world, artist_uri(scene.world))).json()["links"]}
    assert links["http://webfinger.net/rel/avatar"]["href"] == icon["url"]
    assert (await scene.world.stranger.get(icon["url"])).headers["content-type"] == "image/jpeg"
    shown = await document(scene.world, artist_uri(scene.world))
    check_strict_actor(shown, is_person=True)
    assert shown["name"] == "Mira <Sol>"
    assert "Oil &amp; water" in shown["summary"]
    (line,) = shown["attachment"]
    assert (line["type"], line["name"]) == ("PropertyValue", "Site")
    assert 'href="https://mira.example"' in line["value"]


async def test_the_servers_own_actor_is_open_to_everybody(scene: Scene) -> None:
    shown = await document(scene.world, "/actor")
    check_strict_actor(shown, is_person=False)
    assert shown["manuallyApprovesFollowers"] is True
    for box in ("inbox", "outbox"):
        assert (await document(scene.world, shown[box]))["orderedItems"] == []


@pytest.mark.parametrize(
    "accept", [AP, LD, "application/ld+json", f"{AP}, {LD}", f"text/html;q=0.1, {AP}", f"{AP}; charset=utf-8", AP.upper()]
)
async def test_ids_give_documents_without_a_redirect_to_whoever_asks_for_one(scene: Scene, accept: str) -> None:
    """Pixelfed follows no redirect at all, Lemmy one."""
    posted = await scene.post()
    for uri in (artist_uri(scene.world), posted["uri"], posted["uri"] + "/activity", "http://localhost:8000/actor"):
        assert (await document(scene.world, uri, accept))["id"] == uri
    for page in ("/@mira", f"/@mira/{posted['id']}"):
        assert (await document(scene.world, page, accept))["url"].endswith(page), "a page gives its document too"


@pytest.mark.parametrize("accept", ["text/html", "*/*", "", "application/json"])
async def test_a_browser_is_led_from_an_id_to_the_page(scene: Scene, accept: str) -> None:
    posted = await scene.post()
    for uri, page in ((artist_uri(scene.world), "/@mira"), (posted["uri"], f"/@mira/{posted['id']}")):
        answer = await ask(scene.world, uri, accept)
        assert answer.status_code in (301, 302)
        assert answer.headers["location"].endswith(page)
        assert "accept" in answer.headers["vary"].lower(), "a cache must not give it to a server"


async def test_a_page_names_its_document_and_is_found_by_it(scene: Scene) -> None:
    class Links(HTMLParser):
        found: list[dict[str, str | None]]

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "link":
                self.found.append(dict(attrs))

    posted = await scene.post()
    for page, uri in (("/@mira", artist_uri(scene.world)), (f"/@mira/{posted['id']}", posted["uri"])):
        answer = await ask(scene.world, page, "text/html")
        assert answer.headers.get_list("link")[0] == f'<{uri}>; rel="alternate"; type="{AP}"'
        links = Links()
        links.found = []
        links.feed(answer.text)
        assert {"rel": "alternate", "type": AP, "href": uri} in links.found


async def test_a_bad_signature_on_a_question_does_not_keep_what_is_public_from_it(scene: Scene) -> None:
    posted = await scene.post()
    for signature in ("x", 'keyId="https://far.example/x",signature="AAAA"'):
        assert (await ask(scene.world, posted["uri"], AP, signature=signature)).status_code == 200


async def test_what_is_not_there_is_told_in_json_and_alike_for_absent_and_hidden(scene: Scene) -> None:
    private = await scene.post("for followers", visibility="private")
    gone = await scene.post("soon gone")
    await scene.world.client.delete(f"/api/v1/statuses/{gone['id']}")
    absent = f"{artist_uri(scene.world)}/statuses/{int(private['id']) + 1}"
    answers = [await ask(scene.world, uri) for uri in (private["uri"], absent)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    for path in (
        "/users/nobody",
        "/users/MIRA",
        "/users/mira/",
        "/users/mira/statuses/x",
        "/users/mira/statuses/-1",
        "/users/localhost:8000",
    ):
        answer = await ask(scene.world, path)
        assert answer.status_code == 404, path
        assert list(answer.json()) == ["error"]
    assert (await ask(scene.world, gone["uri"])).status_code == 410
    for uri in (private["uri"], gone["uri"], absent):
        for part in ("/activity", "/likes", "/shares"):
            assert (await ask(scene.world, uri + part)).status_code in (404, 410)


# ------------------------------------------------------------------------------------------------- works and collections


async def test_a_work_with_a_picture_has_the_shape_that_every_receiver_shows(scene: Scene) -> None:
    media = await scene.world.upload(description="a low sun over water")
    posted = await scene.post("Evening #Oil", spoiler_text="bright", **{"media_ids[]": media["id"]})

    async def is_out() -> bool:
        return (await ask(scene.world, posted["uri"])).status_code == 200

    await until(is_out)
    shown = await document(scene.world, posted["uri"])
    assert (shown["type"], shown["attributedTo"], shown["id"]) == ("Note", artist_uri(scene.world), posted["uri"])
    assert isinstance(shown["url"], str)
    assert shown["to"] == [AS_PUBLIC]
    assert shown["cc"] == [artist_uri(scene.world) + "/followers"]
    assert (shown["summary"], shown["inReplyTo"]) == ("bright", None)
    assert isinstance(shown["sensitive"], bool)
    assert shown["published"]
    (picture,) = shown["attachment"]
    assert (picture["type"], picture["mediaType"], picture["name"]) == ("Image", "image/jpeg", "a low sun over water")
    assert all(isinstance(picture[side], int) and 1 <= picture[side] <= 5_000 for side in ("width", "height"))
    assert 6 <= len(picture["blurhash"]) <= 164
    assert isinstance(picture["url"], str)
    assert shown["tag"] == [{"type": "Hashtag", "href": "http://localhost:8000/tags/oil", "name": "#oil"}]
    assert shown["interactionPolicy"]["canQuote"]["automaticApproval"] == [artist_uri(scene.world)]
    assert parse_note(shown).attachments[0].alt == "a low sun over water", "we understand ourselves"
    create = await document(scene.world, posted["uri"] + "/activity")
    assert (create["to"], create["cc"], create["actor"]) == (shown["to"], shown["cc"], shown["attributedTo"])
    assert create["object"] == {name: value for name, value in shown.items() if name not in ("@context", "proof")}
    for inline in (shown["likes"], shown["shares"], shown["replies"]):
        served = await document(scene.world, inline["id"])
        assert {name: value for name, value in served.items() if name != "@context"} == inline


async def test_the_outbox_gives_open_works_page_by_page_newest_first(scene: Scene) -> None:
    posted = [await scene.post(f"number {number}") for number in range(23)]
    await scene.post("for followers", visibility="private")
    await scene.post("quietly", visibility="unlisted")
    outbox = await document(scene.world, artist_uri(scene.world) + "/outbox")
    assert (outbox["type"], outbox["totalItems"], outbox["id"]) == ("OrderedCollection", 24, artist_uri(scene.world) + "/outbox")
    seen: list[str] = []
    page_uri: str | None = outbox["first"]
    while page_uri:
        page = await document(scene.world, page_uri)
        assert (page["type"], page["partOf"], page["id"]) == ("OrderedCollectionPage", outbox["id"], page_uri)
        assert len(page["orderedItems"]) <= 20
        seen += [item["object"]["id"] for item in page["orderedItems"]]
        assert {item["type"] for item in page["orderedItems"]} <= {"Create"}
        page_uri = page.get("next")
    assert seen[1:] == [item["uri"] for item in reversed(posted)]
    assert len(seen) == 24
    for junk in ("max_id=x", "max_id=-1", "max_id=99999999999999999999", "max_id=", "page=x&max_id=1"):
        assert (await ask(scene.world, f"{artist_uri(scene.world)}/outbox?page=true&{junk}")).status_code == 200


async def test_of_followers_only_the_number_is_told(scene: Scene) -> None:
    """Without `first`: Mastodon and Misskey then know that the list is not shown."""
    await scene.heard(scene.ana, scene.ana.activity("Follow", artist_uri(scene.world)))
    for name, total in (("followers", 1), ("following", 0)):
        shown = await document(scene.world, f"{artist_uri(scene.world)}/{name}")
        assert (shown["type"], shown["totalItems"]) == ("OrderedCollection", total)
        assert "first" not in shown
        assert scene.ana.uri not in json.dumps(shown)
        assert scene.ana.uri not in (await ask(scene.world, f"{artist_uri(scene.world)}/{name}?page=true")).text
    featured = await document(scene.world, artist_uri(scene.world) + "/collections/featured")
    assert featured["orderedItems"] == []
    inbox = await document(scene.world, artist_uri(scene.world) + "/inbox")
    assert (inbox["type"], inbox["id"], inbox["orderedItems"]) == ("OrderedCollection", artist_uri(scene.world) + "/inbox", [])


async def test_no_document_holds_blind_addresses_keys_or_foreign_schemes(scene: Scene) -> None:
    posted = await scene.post("@nobody@nowhere.example #x https://far.example/")
    for uri in (
        artist_uri(scene.world),
        posted["uri"],
        posted["uri"] + "/activity",
        "/actor",
        artist_uri(scene.world) + "/outbox?page=true",
    ):
        text = (await ask(scene.world, uri)).text
        assert not re.search(r'"(bto|bcc)"|PRIVATE KEY|password|javascript:', text)
        for value in re.findall(r'"(http[^"]*)"', text):
            assert is_web_uri(value), value
