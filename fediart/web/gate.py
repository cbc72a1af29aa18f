"""The page that asks a browser for a little work before it shows a page: hashcash with SHA-256, or a wait and a question.

Off by default. It is a cost for whoever fetches thousands of pages as a browser, about a third of a second of a processor for
each network and day; who pays it, passes. Only browsers are asked, and only for pages: a program that says it is one, feeds,
files, the client API and other servers never see it.

What it gives out is signed, so nothing is remembered of those who only look: a challenge names the network it was given to and
when; the cookie that it earns names the network and until when. What was redeemed is remembered until it would have run out.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fediart.errors import BadInput, TooMany
from fediart.instance import Instance
from fediart.web.refusals import count_refusal
from fediart.web.render import render
from fediart.web.security import PAGE_POLICY, cookie_name, network_seen
from fediart.web.uploads import reading_form

GATE_PATH = "/gate"
GATE_POLICY = f"{PAGE_POLICY}; worker-src 'self'"
BITS = 16
"""Zero bits that the hash must begin with: 65,536 tries on average, a third of a second on a desk, a second on a phone."""

CHALLENGE_S = 600
WAIT_S = 5
"""Without scripts: so long between the page and its answer."""

PASS_S = 24 * 3600
MOST_REDEEMED = 50_000
MOST_OF_A_NETWORK = 300
"""Passes that one network may earn in the time of a challenge, so that none fills what is remembered."""

_NUMBERS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
)  # fmt: skip

_PASSES = (
    *("/.well-known/", "/nodeinfo", "/users/", "/actor", "/inbox", "/media/", "/originals/", "/static/", "/api/", "/oauth/"),
    *("/healthz", "/robots.txt", "/license.xml", "/ai-policy", "/tdm-policy.json", "/sitemap", "/oembed", "/favicon"),
    *(GATE_PATH, "/sign-in", "/sign-out", "/setup", "/labels/"),
)
_ROBOT = re.compile(
    r"bot|crawl|spider|slurp|preview|fetch|feed|rss|reader|monitor|scan|google|finder|compatible;(?! MSIE)|\+?https?:|@|www\.",
    re.IGNORECASE,
)
"""Signs that a User-Agent makes no claim to be a browser, though it says Mozilla as nearly all do."""


def is_browser(user_agent: str) -> bool:
    return ("Mozilla" in user_agent or "Opera" in user_agent) and _ROBOT.search(user_agent[:1_000]) is None


def is_for_browsers(method: str, path: str, headers: Headers) -> bool:
    """Is this a page, asked for by a browser?"""
    if method not in ("GET", "HEAD") or path.startswith(_PASSES) or path.endswith((".atom", ".rss", ".xml", ".json")):
        return False
    if "signature" in headers or "signature-input" in headers:
        return False
    accept = headers.get("accept", "")[:2_000].lower()
    is_data = any(kind in accept for kind in ("json", "application/rss", "application/atom", "application/xrd"))
    return not is_data and is_browser(headers.get("user-agent", ""))


def pass_cookie(instance: Instance) -> str:
    return cookie_name(instance) + "-pass"


@dataclass(frozen=True, slots=True)
class Challenge:
    """`text` is what is hashed: with ":" and a number behind it, the hash must begin with `BITS` zero bits."""

    text: str
    question: str


class _Read(NamedTuple):
    id: str
    issued: int
    sum: int


class Load:
    """How late this process is: between asking to be woken and being woken lies what others do meanwhile.

    Measured only while requests come, each at most every SAMPLE_S, so it needs no task of its own. The mean of the last few
    is high from HIGH_S on, and until it is below CALM_S again.
    """

    SAMPLE_S, HIGH_S, CALM_S, OLD_S = 0.1, 0.1, 0.03, 10.0

    def __init__(self) -> None:
        self._late_s = 0.0
        self._is_high = False
        self._asked_at: float | None = None
        self._measured_at = float("-inf")

    def is_high(self) -> bool:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._asked_at is None or now - self._asked_at > self.OLD_S:
            self._asked_at = now
            loop.call_later(self.SAMPLE_S, self._woken, loop, now + self.SAMPLE_S)
        if now - self._measured_at > self.OLD_S:
            self._late_s, self._is_high = 0.0, False
        return self._is_high

    def _woken(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        self._asked_at = None
        self._measured_at = now
        self._late_s += (max(0.0, now - due) - self._late_s) / 3
        self._is_high = self._late_s > (self.CALM_S if self._is_high else self.HIGH_S)


class Gate:
    """Gives out challenges and passes, and knows what was redeemed."""

    def __init__(self, instance: Instance) -> None:
        self._clock = instance.clock
        self._pass_key = instance.derived_key("gate passes")
        # With a part that a restart forgets, as it forgets what was redeemed.
        self._key = hmac.new(instance.derived_key("gate challenges"), secrets.token_bytes(16), hashlib.sha256).digest()
        self._redeemed: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self._earned: dict[str, int] = {}
        self.load = Load()

    def challenge(self, network: str) -> Challenge:
        now = self._clock() // 1000
        body = f"{secrets.token_hex(16)}.{now}"
        return self._shown(f"{body}.{self._sign(self._key, body, network)}")

    def shown_again(self, text: str, network: str) -> Challenge:
        """The same one, when it still holds; else a new one."""
        try:
            self._read(text, network)
        except BadInput:
            return self.challenge(network)
        return self._shown(text)

    def _shown(self, text: str) -> Challenge:
        one, two = self._numbers(text.partition(".")[0])
        return Challenge(text, f"How much is {_NUMBERS[one]} and {_NUMBERS[two]}?")

    def _numbers(self, id_: str) -> tuple[int, int]:
        drawn = hmac.new(self._key, b"question " + id_.encode(), hashlib.sha256).digest()
        return 1 + drawn[0] % 9, 1 + drawn[1] % 9

    @staticmethod
    def _sign(key: bytes, body: str, network: str) -> str:
        return hmac.new(key, f"{body} {network}".encode(), hashlib.sha256).hexdigest()[:32]

    def _read(self, text: str, network: str) -> _Read:
        found = re.fullmatch(r"([0-9a-f]{32})\.([0-9]{1,12})\.([0-9a-f]{32})", text)
        body = text.rpartition(".")[0]
        if found is None or not hmac.compare_digest(found[3], self._sign(self._key, body, network)):
            raise BadInput("This page was made for another connection, or this server was started anew. Here is another one.")
        if self._clock() // 1000 - int(found[2]) > CHALLENGE_S:
            raise BadInput("This page was open for too long. Here is another one.")
        if found[1] in self._redeemed:
            raise BadInput("This page was used already. Here is another one.")
        return _Read(found[1], int(found[2]), sum(self._numbers(found[1])))

    def redeem(self, text: str, network: str, *, nonce: str, answer: str) -> str:
        """The pass that a solved challenge earns, once. Raises BadInput or TooMany in words for a person."""
        held = self._read(text, network)
        if nonce:
            if not (nonce.isascii() and nonce.isdigit() and len(nonce) <= 20 and is_solved(text, nonce)):
                raise BadInput("The calculation did not come out right. Please answer the question instead.")
        else:
            wait = held.issued + WAIT_S - self._clock() // 1000
            if wait > 0:
                raise BadInput(f"That was quick. Please wait {wait} more second{'s' if wait > 1 else ''}, then send it again.")
            if _number(answer) != held.sum:
                raise BadInput("That is not the sum. Please count again.")
        self._remember(held, network)
        return self.pass_for(network)

    def pass_for(self, network: str) -> str:
        """The cookie with which pages are shown to this network."""
        until = self._clock() // 1000 + PASS_S
        return f"{until}.{self._sign(self._pass_key, str(until), network)}"

    def _remember(self, held: _Read, network: str) -> None:
        now = self._clock() // 1000
        while self._redeemed:
            id_, (until, of) = next(iter(self._redeemed.items()))
            if until >= now:
                break
            del self._redeemed[id_]
            self._earned[of] -= 1
            if not self._earned[of]:
                del self._earned[of]
        # Behind a proxy that hides everybody there is no network, and no bound for it.
        has_most = network != "" and self._earned.get(network, 0) >= MOST_OF_A_NETWORK
        if has_most or len(self._redeemed) >= MOST_REDEEMED:
            raise TooMany("Too many passes were given out lately. Please try again in a few minutes.", retry_after=300)
        # From now on: what is forgotten in the order it came must also run out in that order.
        self._redeemed[held.id] = (now + CHALLENGE_S, network)
        self._earned[network] = self._earned.get(network, 0) + 1

    def lets_pass(self, cookie: str, network: str) -> bool:
        until, _, mac = cookie[:100].partition(".")
        if not (until.isascii() and until.isdigit() and len(until) <= 12) or int(until) < self._clock() // 1000:
            return False
        return hmac.compare_digest(mac.encode(), self._sign(self._pass_key, until, network).encode())


def is_solved(text: str, nonce: str) -> bool:
    """Does SHA-256 of `text:nonce` begin with BITS zero bits?"""
    digest = hashlib.sha256(f"{text}:{nonce}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> (32 - BITS) == 0


def _number(text: str) -> int | None:
    """A small number in digits or in English words."""
    text = text.strip().strip(".").lower()[:20]
    if text.isascii() and text.isdigit():
        return int(text)
    return _NUMBERS.index(text) if text in _NUMBERS else None


# ----------------------------------------------------------------------------------------------------------- the page


async def gate_page(request: Request) -> Response:
    """GET: the page (429, so that no index keeps it). POST: what it was answered."""
    instance: Instance = request.app.state.instance
    gate: Gate = request.app.state.gate
    network = network_seen(request, instance) or ""
    if request.method != "POST":
        wanted = _ours(request.query_params.get("next", "/"))
        if gate.lets_pass(request.cookies.get(pass_cookie(instance), ""), network):
            return RedirectResponse(wanted, 303)
        return await _page(request, gate.challenge(network), wanted)
    async with reading_form(request, files=0) as form:
        said = {name: value if isinstance(value := form.get(name, ""), str) else "" for name in ("challenge", "nonce", "answer")}
        next_ = form.get("next", "/")
    wanted = _ours(next_ if isinstance(next_, str) else "/")
    text = said["challenge"][:200]
    try:
        cookie = gate.redeem(text, network, nonce=said["nonce"], answer=said["answer"])
    except (BadInput, TooMany) as problem:
        count_refusal(request, problem)
        return await _page(request, gate.shown_again(text, network), wanted, problem.message)
    response = RedirectResponse(wanted, 303, headers={"cache-control": "no-store"})
    response.set_cookie(
        pass_cookie(instance),
        cookie,
        max_age=PASS_S,
        path="/",
        secure=instance.config.base_url.startswith("https:"),
        httponly=True,
        samesite="lax",
    )
    return response


async def _page(request: Request, challenge: Challenge, wanted: str, problem: str = "") -> Response:
    return await render(
        request,
        "gate.html",
        429,
        {"content-security-policy": GATE_POLICY, "retry-after": str(WAIT_S)},
        challenge=challenge,
        wanted=wanted,
        problem=problem,
        bits=BITS,
        wait=WAIT_S,
    )


def _ours(path: str) -> str:
    """A path of ours, nothing else."""
    is_ours = path.startswith("/") and not path.startswith(("//", "/\\", GATE_PATH)) and all(" " < c <= "~" for c in path)
    return path if is_ours and len(path) <= 2_000 else "/"
