"""What strangers send, at random: no parser ends in anything but an answer or a refusal of its own, and no address in a 500.

`FEDIART_LONG=1` tries many more (`tests/conftest.EXAMPLES`).
"""

from __future__ import annotations

import ast
import contextlib
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from fediart.activitypub.signatures.verify import Refused, SignatureToCheck, claimed_key_id, covers, read_signature
from fediart.domain.actors import Role
from fediart.errors import AddressRefused
from fediart.media.sample import draw_sample
from fediart.remote.guard import Guard, check_url
from fediart.storage import accounts
from fediart.text.sanitise import clean_html, clean_name, plain_text
from fediart.web.app import create_app
from fediart.web.pages.resumable import file_name
from tests.addresses import parameters, route_table
from tests.conftest import EXAMPLES
from tests.people import People, Person, people_of
from tests.world import World, a_world

WEB = Path(__file__).resolve().parents[1] / "fediart" / "web"
NOW = 1_790_000_000_000

# ------------------------------------------------------------------------------------------------ parsers, without a server

PIECES = st.lists(
    st.sampled_from(
        [
            "keyId=", "algorithm=", "headers=", "signature=", "created=", "expires=", '"', "=", ",", ";", " ", "(", ")", "sig1=",
            ":",             "https://a.example/k#main", "(request-target) host date digest",
            "rsa-sha256", "hs2019", "@method", "@target-uri",
            '"@authority"', '"content-digest"', "YWJj", "1790000000", "-1", "9" * 40, "?", "\\", "\x00", "é", "sig1=(",
            "sf", "bs", "key",
        ]
    ),
    max_size=40,
).map("".join)  # fmt: skip
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "signature": PIECES | st.text(max_size=200),
        "signature-input": PIECES | st.text(max_size=200),
        "date": st.sampled_from(["Sun, 20 Sep 2026 12:26:40 GMT", "soon", "", "Sun, 99 Sep 99999 99:99:99 GMT"])
        | st.text(max_size=40),
        "digest": st.sampled_from(["SHA-256=", "SHA-256=YWJj", "sha-256=:YWJj:"]) | st.text(max_size=60),
        "content-digest": st.sampled_from(["sha-256=:YWJj:", "sha-256=YWJj", "sha-512=:"]) | st.text(max_size=60),
        "host": st.sampled_from(["art.example", "ART.example:443", "[::1]"]) | st.text(max_size=30),
    },
)


@pytest.mark.row(68)
@given(HEADERS, st.sampled_from(["GET", "POST"]), st.text(max_size=40), st.none() | st.binary(max_size=40))
def test_any_signature_header_is_read_or_refused(headers: dict[str, str], method: str, target: str, body: bytes | None) -> None:
    found = read_signature(method, target, headers, body, NOW, frozenset({"art.example"}))
    assert isinstance(found, Refused | SignatureToCheck)
    assert isinstance(claimed_key_id(headers), str | None)
    assert covers(headers, "date") in (True, False)
    if isinstance(found, SignatureToCheck):
        assert found.key_id
        assert found.texts


URLS = st.text(max_size=80) | st.lists(
    st.sampled_from(
        [
            "http", "https", "://", ":", "/", "//", "@", "?", "#", "[", "]", "::1", "127.0.0.1", "2130706433", "0x7f.1",
            "a.example",             "xn--", "①②⑦.0.0.1", ":0", ":99999", ":443", "%00",
            "\x00", "\t", "\\", " ", "é", "..", "user:pw",
            "file", "ftp", "javascript",
        ]
    ),
    max_size=12,
).map("".join)  # fmt: skip


@pytest.mark.row(68)
@given(URLS, URLS)
def test_any_url_is_one_that_may_be_asked_or_is_refused(url: str, other: str) -> None:
    for text in (url, f"https://{url}", f"https://{url}/{other}"):
        with contextlib.suppress(AddressRefused):
            parts = urlsplit(check_url(text, allow_http=False))
            assert (parts.scheme, bool(parts.hostname), parts.username) == ("https", True, None)
    assert Guard().permits(url) in (True, False)


@pytest.mark.row(68)
@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from(["<", "</", ">", "a", " href='", "'", "&#", ";", "p", "\x00", "\u202e"])).map("".join)
)
def test_any_words_are_sanitised_to_what_a_page_and_a_database_take(raw: str) -> None:
    for words in (clean_html(raw), plain_text(raw), clean_name(raw)):
        assert "\x00" not in words
        assert "<script" not in words
        words.encode()


@pytest.mark.row(68)
@given(st.text(max_size=200) | st.binary(max_size=60).map(lambda raw: f"filename {raw.hex()}"))
def test_any_metadata_of_an_upload_names_a_file_or_none(metadata: str) -> None:
    assert "\0" not in file_name(metadata)


# -------------------------------------------------------------------------------------------------- addresses of a server

HOSTILE = [
    "", "0", "1", "-1", "9" * 30, "1e9", "0x10", "NaN", "null", "true", "[]", "{}", "%", "\x00", "\u202e\u200b",
    "é", "a" * 3_000, "../../etc/passwd", "//evil.example", "https://evil.example/", "javascript:alert(1)", "' OR 1=1 --",
    "@mira", "@mira@localhost:8000", "acct:mira@localhost:8000", "\r\nx: y", "１２", "9223372036854775808",
    "-9223372036854775809", "1.5", " 1 ",
]  # fmt: skip
RAW = ["%", "%zz", "%00", "%ff%fe", "a=b&a=c&&=&", "a[]=1&a[b]=2", "&" * 500, "%ud83d", ";", "=" * 50]
"""Query strings that are none."""


def names_asked() -> list[str]:
    """Every name that the code looks for in a query string, and some that it does not."""
    found = {"", "nobody_asks_for_this"}
    for path in WEB.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                owner, first = ast.unparse(node.func.value), node.args[0]
                if "query_params" in owner and isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
            if isinstance(node, ast.Compare) and "query_params" in ast.unparse(node.comparators[0]):
                found |= {
                    part.value for part in ast.walk(node.left) if isinstance(part, ast.Constant) and isinstance(part.value, str)
                }
    return sorted(found | {"max_id", "min_id", "since_id", "limit", "id[]", "types[]"})


class Chance:
    """Always the same ones."""

    def __init__(self, real: dict[str, list[str]]) -> None:
        self._random = random.Random(68)
        self._names = names_asked()
        self._real = real
        assert len(self._names) > 20

    def path(self, pattern: str) -> str:
        for name in parameters(pattern):
            known = self._real.get(name, ["1"])
            value = (
                self._random.choice(known) if self._random.random() < 0.6 else quote(self._random.choice(HOSTILE)[:200], safe="")
            )
            pattern = pattern.replace(f"{{{name}}}", value or "0").replace(f"{{{name}:path}}", value or "0")
        return pattern

    def query(self) -> str:
        if self._random.random() < 0.2:
            return self._random.choice(RAW)
        names = self._random.sample(self._names, 4)
        return "&".join(f"{quote(name)}={quote(self._random.choice(HOSTILE), safe='')}" for name in names)

    def accept(self) -> dict[str, str]:
        return {"accept": self._random.choice(["text/html", "application/activity+json", "application/json", "*/*", ";q="])}

    def bytes_of(self, whole: bytes) -> bytes:
        """Cut, doubled or with other bytes in it."""
        at, end = sorted(self._random.choices(range(len(whole) + 1), k=2))
        return self._random.choice(
            [whole[:at], whole[:at] + whole[end:], whole[:end] + whole[at:], whole[:at] + self._random.randbytes(9) + whole[at:]]
        )


async def _tried(client: httpx.AsyncClient, method: str, url: str, **more: Any) -> int:
    """Its status. What the client itself finds no address is none of ours."""
    try:
        answer = await client.request(method, url, **more)
    except (httpx.InvalidURL, UnicodeError):
        return 0
    return answer.status_code


@contextlib.asynccontextmanager
async def a_stage(folder: Path) -> AsyncIterator[tuple[World, People, Person, str, Chance]]:
    async with a_world(folder, jobs=False) as world, people_of(world.instance) as people:
        mira = await people.person("mira")
        await world.instance.storage.write(accounts.put_role, mira.account.id, Role.OWNER)
        work = (await mira.api.post("/api/v1/statuses", json={"status": "an evening #water"})).json()
        draft = (await mira.browser.send("/compose")).headers["location"]
        real = {"id": [work["id"], draft.rpartition("/")[2], str(mira.account.actor_id)], "name": ["mira"], "tag": ["water"]}
        yield world, people, mira, draft, Chance({**real, "work_id": real["id"]})


def _crashes(logs: Sequence[Mapping[str, object]]) -> Iterator[object]:
    return (line for line in logs if str(line["event"]).endswith("crashed"))


@pytest.mark.row(68)
@pytest.mark.anyio
async def test_no_query_and_no_part_of_an_address_ends_in_a_500(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as (world, people, mira, _, chance):
        stranger, wrong = await people.client(), []
        routes = [route for route in route_table(create_app(world.instance)) if "GET" in (route.methods or ())]
        assert len(routes) > 90
        with capture_logs() as logs:
            for route in routes:
                for number in range(max(2, EXAMPLES // 75)):
                    url = f"{chance.path(route.path)}?{chance.query()}"
                    asker = (mira.api if route.path.startswith("/api/") else mira.browser.http, stranger)[number % 2]
                    if (status := await _tried(asker, "GET", url, headers=chance.accept())) >= 500 and status != 502:
                        wrong.append((status, url))
        assert wrong == []
        assert list(_crashes(logs)) == []


# A file that is cut off is closed by starlette only once nobody holds it any more.
@pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.row(68)
@pytest.mark.anyio
async def test_no_form_upload_or_header_of_an_upload_ends_in_a_500(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as (_, people, mira, draft, chance):
        token = await mira.browser.form_token(draft)
        trusted = {"x-form-token": token}
        form = httpx.Request(
            "POST",
            "http://x/",
            data={"form_token": token, "text": "words"},
            files={"pictures": ("a.jpg", draw_sample(16, 16), "image/jpeg")},
        )
        whole, kind = form.read(), form.headers["content-type"]
        kinds = [
            kind,
            kind,
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "application/x-www-form-urlencoded",
            "application/json",
            "x/y; charset=",
        ]
        statuses = set()
        with capture_logs() as logs:
            for number in range(EXAMPLES):
                body, said = chance.bytes_of(whole), {"content-type": kinds[number % len(kinds)]}
                client, url = (
                    (mira.api, "/api/v2/media"), (mira.browser.http, draft), (mira.api, "/api/v1/statuses"),
                    (mira.api, "/api/v2/filters"), (await people.client(), "/sign-in"),
                )[number % 5]  # fmt: skip
                statuses.add(await _tried(client, "POST", url, content=body, headers=said))
            for number in range(EXAMPLES // 2):
                values = [value.strip() for value in HOSTILE if value.isascii() and value.isprintable()]
                said = {
                    name: values[(number * step) % len(values)]
                    for name, step in (("upload-length", 1), ("upload-metadata", 3), ("upload-offset", 5))
                }
                statuses.add(await _tried(mira.browser.http, "POST", f"{draft}/uploads", headers={**trusted, **said}))
                url = f"/uploads/{quote(values[number % len(values)][:200], safe='') or '0'}"
                more = {"content-type": "application/offset+octet-stream", **trusted, **said}
                statuses.add(
                    await _tried(
                        mira.browser.http, ("PATCH", "HEAD", "DELETE")[number % 3], url, headers=more, content=b"x" * number
                    )
                )
        assert list(_crashes(logs)) == []
        assert {status for status in statuses if status >= 500} <= {507}, statuses
        assert {400, 422} & statuses
