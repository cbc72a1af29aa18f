"""Suites that others wrote, run against our servers over TLS; writes docs/interop-suites.md.

    unshare --mount --net python -m benchmarks.suites --feditest BIN --feditest-tests FOLDER \\
        --pasture PYTHON --activitypub-testing BIN

Linux, as root: the suites ask https addresses without a port, so this takes port 443 of names of its own, in a network and a
mount table that nobody else sees. BIN: programs of `feditest` (PyPI) and `activitypub-testing` (npm). FOLDER: a checkout of
feditest-tests-fediverse. PYTHON: the interpreter of an environment with `fediverse-pasture` (PyPI).
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import http.server
import json
import os
import re
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from fediart import __version__
from tests.servers import SecureKeeper, running, wait_for
from tests.tls import Authority, a_front, make_authority

PAGE = Path(__file__).parents[1] / "docs" / "interop-suites.md"
HOSTS = {"one.test": ("mira", "127.0.0.1"), "two.test": ("noor", "127.0.0.2"), "three.test": ("ola", "127.0.0.3")}
PASTURE, PASTURE_ADDRESS = "pasture.test", "127.0.0.4"

DRIVER = """
from feditest import nodedriver
from feditest.nodedrivers.mastodon import MastodonNode, MastodonOAuthApp, MastodonSaasNodeDriver


class Node(MastodonNode):
    def _obtain_mastodon_oauth_app(self):
        return MastodonOAuthApp("", "", f"https://{self.hostname}", self._obtain_requests_session())


@nodedriver
class Driver(MastodonSaasNodeDriver):
    def create_configuration_account_manager(self, rolename, test_plan_node):
        for account in [*test_plan_node.accounts, *test_plan_node.non_existing_accounts]:
            account.pop("role", None)
        return super().create_configuration_account_manager(rolename, test_plan_node)

    def _provision_node(self, rolename, config, account_manager):
        return Node(rolename, config, account_manager)
"""
"""For feditest: a token is given instead of an app's, and an account must have a role's name where no test asks for one."""

FEDITEST = {
    "webfinger": {"client": "imp", "server": "one.test"},
    "system2": {"leader_node": "one.test", "follower_node": "two.test", "sender_node": "one.test", "receiver_node": "two.test"},
    "system3": {"node1": "one.test", "node2": "two.test", "node3": "three.test"},
}
"""Set → who plays which role. `imp`: feditest's own client."""

_HTML = """All that it asks of the words is met, but for the last: they are to come back as plain text. Servers that speak HTML
answer HTML."""
_NO_POST = "Our outboxes take no POST: client programs speak Mastodon's API."
_UNSIGNED = "Unsigned: it is to be refused."
_NAMELESS = "An actor without a `preferredUsername` has no handle: refused by that name."
WHY = {
    ("system2.direct_addressing", "(Implied, Degraded)"): _HTML,
    ("system2.reply_single_hop", "(Implied, Degraded)"): _HTML,
    (
        "system2.follow_receive",
        "failed to find account",
    ): """Follow, Accept and delivery pass; then it asks one server for the account on the other. Of what is left (nothing is sent
after the unfollow) tests/test_fedify_peer.py has a test.""",
    ("outbox-post", ""): _NO_POST,
    ("outbox-wraps", ""): _NO_POST,
    ("post-outbox", ""): _NO_POST,
    ("create-then-update", ""): _NO_POST,
    ("liked-collection", "no `liked`"): "What somebody likes is not given away.",
    ("likes-collection", "no `likes`"): "Works have `likes`, an actor has none.",
    ("shares-collection", "not have a shares"): "Works have `shares`, an actor has none.",
    ("alice: posts", ""): _UNSIGNED,
    ("dean: posts", ""): _UNSIGNED,
    ("emily: posts", ""): _NAMELESS,
    ("frank: posts", ""): _NAMELESS,
}
"""(how a test's name begins, what stands in what it says) → why its result is what it is."""


@dataclass(frozen=True, slots=True)
class Result:
    test: str
    outcome: str
    detail: str = ""

    @property
    def why(self) -> str:
        if self.outcome == "passed":
            return ""
        known = (why for (begin, said), why in WHY.items() if self.test.startswith(begin) and said in self.detail)
        return " ".join(next(known, f"Not explained: {self.detail}").split())


@contextlib.contextmanager
def our_servers(folder: Path) -> Iterator[tuple[Authority, dict[str, SecureKeeper]]]:
    names = folder / "hosts"
    addresses = {"localhost": "127.0.0.1", PASTURE: PASTURE_ADDRESS, **{host: address for host, (_, address) in HOSTS.items()}}
    names.write_text("".join(f"{address} {host}\n" for host, address in addresses.items()))
    _run("ip", "link", "set", "lo", "up")
    _run("mount", "--bind", str(names), "/etc/hosts")
    authority = make_authority(folder / "tls", PASTURE, *HOSTS)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_plain_http())
        keepers = {}
        for host, (name, address) in HOSTS.items():
            keeper = SecureKeeper(folder / host, authority, name, host)
            stack.enter_context(a_front(authority, 443, keeper.side.port, address))
            stack.enter_context(running(keeper))
            keepers[host] = keeper
        yield authority, keepers


class _ToHttps(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(301)
        self.send_header("location", f"https://{self.headers['host']}{self.path}")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: what is asked is no news."""


@contextlib.contextmanager
def _plain_http() -> Iterator[None]:
    """Port 80, as a reverse proxy answers it."""
    server = http.server.ThreadingHTTPServer(("", 80), _ToHttps)
    threading.Thread(target=server.serve_forever).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _run(
    *command: str, environment: Mapping[str, str] | None = None, place: Path | None = None, fine: Sequence[int] = (0,)
) -> str:
    done = subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        cwd=place,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=600,
    )
    if done.returncode not in fine:
        raise SystemExit(f"{command[0]} ended with {done.returncode}: {done.stderr[-2_000:]}")
    return done.stdout


def feditest(
    binary: str, tests: Path, folder: Path, authority: Authority, keepers: Mapping[str, SecureKeeper]
) -> dict[str, list[Result]]:
    trust = {name: str(authority.root) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")}
    (folder / "drivers").mkdir()
    (folder / "drivers" / "ours.py").write_text(DRIVER)
    (folder / "imp.json").write_text(json.dumps({"nodedriver": "ImpInProcessNodeDriver"}))
    for host, keeper in keepers.items():
        account = {"role": "any", "account_userid": keeper.side.name, "oauth_token": keeper.side.token}
        node = {
            "nodedriver": "ours.Driver",
            "parameters": {"app": "fediart", "hostname": host},
            "accounts": [account],
            "non_existing_accounts": [{"role": "any", "non_existing_account_userid": "nobody"}],
        }
        (folder / f"{host}.json").write_text(json.dumps(node))
    found = {}
    for name, roles in FEDITEST.items():
        nodes = [word for role, who in roles.items() for word in ("--node", f"{role}={folder / who}.json")]
        tap = folder / f"{name}.tap"
        command = [binary, "run", "--nodedriversdir", str(folder / "drivers"), *nodes, "--filter-regex", f"{name}.*"]
        _run(*command, "--tap", str(tap), environment=trust, place=tests, fine=(0, 1))
        found[f"feditest: {name}"] = read_tap(tap.read_text())
    return found


def read_tap(text: str) -> list[Result]:
    found = []
    for part in re.split(r"^(?=(?:not )?ok \d+ - )", text, flags=re.MULTILINE)[1:]:
        head, _, rest = part.partition("\n")
        test = head.partition(" - ")[2].partition("::")
        message = re.search(r"message:\n\s+(.+)", rest)
        name = test[0] if not test[2] or test[2].endswith("Test") else f"{test[0].rpartition('.')[2]}::{test[2]}"
        found.append(Result(name, "failed" if head.startswith("not") else "passed", message[1] if message else ""))
    return found


def activitypub_testing(binary: str, authority: Authority, keeper: SecureKeeper) -> list[Result]:
    told = _run(binary, "test", "actor", keeper.uri, environment={"NODE_EXTRA_CA_CERTS": str(authority.root)})
    found = []
    for line in told.splitlines():
        said = json.loads(line)
        if "result" in said and "test" in said:
            found.append(Result(said["test"]["slug"], said["result"]["outcome"], str(said["result"].get("info") or "")))
    return sorted(found, key=lambda one: one.test)


PASTURE_SERVER = """
import sys
from fediverse_pasture.verify_actor import build_app
address, host, certificate, key = sys.argv[1:]
build_app(False, host, True, 20).run(host=address, port=443, certfile=certificate, keyfile=key, use_reloader=False)
"""


def pasture(python: str, folder: Path, authority: Authority, keeper: SecureKeeper) -> list[Result]:
    (folder / "pasture").mkdir()
    files = str(authority.certificate), str(authority.key)
    with (folder / "pasture.log").open("wb") as log:
        process = subprocess.Popen(
            [python, "-c", PASTURE_SERVER, PASTURE_ADDRESS, PASTURE, *files],
            cwd=folder / "pasture",
            env={**os.environ, "SSL_CERT_FILE": str(authority.root)},
            stdout=log,
            stderr=log,
        )
    try:
        with httpx.Client(verify=authority.trusting(), timeout=60, trust_env=False) as web:

            def answers() -> bool:
                with contextlib.suppress(httpx.HTTPError):
                    return web.get(f"https://{PASTURE}/").status_code == 200
                return False

            wait_for("the pasture is open", answers)
            asked = web.post(f"https://{PASTURE}/", data={"actor_uri": keeper.uri}, headers={"accept": "application/json"})
            said = asked.json()["result"]
    finally:
        process.terminate()
        process.wait(20)
    found = [Result("WebFinger leads to the actor", "passed" if said.pop("webfinger") else "failed")]
    for name, did in said.items():
        found.append(Result(f"{name}: reads the actor", "passed" if did["get_actor"] else "failed"))
        found.append(Result(f"{name}: posts to the inbox", "passed" if did["post_inbox"] else "refused"))
    return found


def summed(results: Sequence[Result]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in Counter(one.outcome for one in results).most_common())


def table(title: str, results: Sequence[Result]) -> str:
    rows = "".join(f"| {one.test} | {one.outcome} | {one.why} |\n" for one in results)
    return f"## {title}: {summed(results)}\n\n| test | result | why |\n|---|---|---|\n{rows}\n"


_HEAD = """# Suites that others wrote

Ours against tests that we did not write. `python -m benchmarks.suites` ran them on {date} against fediart {version}, three
servers over TLS, and wrote this page.

| suite | version | licence | where from |
|---|---|---|---|
| feditest | {feditest} | MIT | PyPI; its tests are the repository feditest-tests-fediverse, at {tests} |
| activitypub-testing | {testing} | AGPL-3.0 | npm |
| fediverse-pasture, `verify_actor` | {pasture} | MIT | PyPI |

`system2` and `system3` drive servers through the client API, and all of theirs are ours here: they tell what happens between two
fediarts. feditest is given tokens, because no client program can register here yet (`POST /api/v1/apps`).

They are no part of our own checks: feditest's tests are in no package, activitypub-testing brings 207 MB with it, and the
pasture a web framework and an ORM. What they look at stands in `tests/test_discovery.py`, `tests/test_inbox.py` and
`tests/test_signatures.py`. What runs with our checks and is not ours: a server written with Fedify (`tests/test_fedify_peer.py`),
over TLS with a certificate authority of its own, which verifies what we sign and is verified; and the documents of two corpora
([receive.md](receive.md)).

"""


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--feditest", "--feditest-tests", "--pasture", "--activitypub-testing"):
        reader.add_argument(name, required=True, type=lambda text: str(Path(text).absolute()))
    given = reader.parse_args()
    tests = Path(given.feditest_tests)
    told: dict[str, list[Result]] = {}
    with tempfile.TemporaryDirectory() as place, our_servers(Path(place)) as (authority, keepers):
        told |= feditest(given.feditest, tests, Path(place), authority, keepers)
        told["activitypub-testing"] = activitypub_testing(given.activitypub_testing, authority, keepers["one.test"])
        told["fediverse-pasture: verify_actor"] = pasture(given.pasture, Path(place), authority, keepers["one.test"])
    package = json.loads((Path(given.activitypub_testing).resolve().parents[1] / "package.json").read_text())
    of = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    head = _HEAD.format(
        date=datetime.datetime.now(datetime.UTC).date(),
        version=__version__,
        feditest=_run(str(Path(given.feditest).with_name("python")), "-c", of, "feditest").strip(),
        tests=_run("git", "-C", str(tests), "log", "-1", "--format=%h (%cs)").strip(),
        testing=package["version"],
        pasture=_run(given.pasture, "-c", of, "fediverse-pasture").strip(),
    )
    PAGE.write_text((head + "".join(table(title, results) for title, results in told.items())).rstrip("\n") + "\n")
    print(json.dumps({title: summed(results) for title, results in told.items()}))


if __name__ == "__main__":
    main()
