"""Who is let in: agents that the policy refuses hear 403, strangers who ask too often 429, browsers may be asked for work first.

What is reserved is said to everybody: robots.txt and the files it names are never refused. By name only those can be kept out
who give their name; the limit is there for the others. Requests of people who are signed in do not count, nor files, nor what
other servers sign, up to a bound: a signature is not proved at this door, so a forged one counts as well once there are many.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import urlencode

import structlog
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from fediart.domain.agents import AgentMatcher, Found, blocked_agents
from fediart.domain.policy import AiPolicy, ProofOfWork
from fediart.domain.rates import Rate, rate_of
from fediart.domain.robots import OPEN_PATHS
from fediart.domain.traffic import Outcome
from fediart.errors import Unavailable
from fediart.instance import Instance, token_hash
from fediart.storage import accounts
from fediart.web.api.answers import CORS
from fediart.web.gate import GATE_PATH, Gate, is_for_browsers, pass_cookie
from fediart.web.security import cookie_name, network_seen

log = structlog.get_logger("fediart.web")

LIMIT_NAME = "fediart-anonymous"
"""The limit's name in what is answered: a 429 of a proxy in front does not carry it."""

SIGNED_TIMES = 10
"""So many times the anonymous rate may come with a signature, from one network."""

KNOWN_MS = 5 * 60_000
"""So long a session or token that was right once is not looked up again for the limit."""

LOOK_AGAIN_S = 10.0
"""So often the file of agents is looked at."""

ALWAYS_OPEN = frozenset({"/robots.txt", *OPEN_PATHS})
_UNCOUNTED = ("/media/", "/static/")


class Allowance:
    """At most `rate.most` at once for each key, and then evenly as many in each of its periods. Bounded in keys.

    One number for each key: when it will have nothing owing (the generic cell rate algorithm of ATM Forum TM 4.0).
    """

    def __init__(self, rate: Rate, *, keys: int = 20_000, now: Callable[[], float] = time.monotonic) -> None:
        self._pause = rate.seconds / rate.most
        self._most_owed = rate.seconds - self._pause
        self._keys = keys
        self._now = now
        self._free_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str) -> float:
        """0 when it is granted; else in how many seconds it would be."""
        now = self._now()
        free_at = max(self._free_at.get(key, now), now)
        if free_at - now > self._most_owed + 1e-9:
            return free_at - now - self._most_owed
        self._free_at[key] = free_at + self._pause
        self._free_at.move_to_end(key)
        if len(self._free_at) > self._keys:
            self._free_at.popitem(last=False)
        return 0.0


class _Rules:
    """What one revision of the policy and one list of agents come to."""

    def __init__(self, instance: Instance) -> None:
        self.policy: AiPolicy = instance.policy
        self.agents = instance.agents.agents
        enforce = self.policy.enforce
        level, allowed, blocked = self.policy.reserve.robots_list, enforce.extra_allowed_agents, enforce.extra_blocked_agents
        refused = blocked_agents(self.agents, level, allowed, blocked) if enforce.block_user_agents else ()
        self.matcher = AgentMatcher(self.agents, refused)
        self.rate = rate_of(enforce.rate_limit_anonymous) if instance.config.limits.enabled else None
        if self.rate is not None:
            signed = Rate(self.rate.most * SIGNED_TIMES, self.rate.seconds, "")
            self.strangers, self.signed, self.lookups = Allowance(self.rate), Allowance(signed), Allowance(self.rate)

    def hold(self, instance: Instance) -> bool:
        return self.policy is instance.policy and self.agents is instance.agents.agents


class Crawlers:
    """Before every route, behind the `Shield`: what it answers carries the headers that all answers carry."""

    def __init__(self, app: ASGIApp, instance: Instance, gate: Gate) -> None:
        self._app = app
        self._instance = instance
        self._gate = gate
        self._rules = _Rules(instance)
        self._looked_at = time.monotonic()
        self._known: OrderedDict[str, int] = OrderedDict()
        self._has_warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if time.monotonic() - self._looked_at > LOOK_AGAIN_S:
            self._looked_at = time.monotonic()
            self._instance.agents.refresh()
        if not self._rules.hold(self._instance):
            self._rules = _Rules(self._instance)
        path: str = scope["path"]
        user_agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"").decode("latin-1")
        found = self._rules.matcher.find(user_agent)
        if path in ALWAYS_OPEN:
            self._count(found, Outcome.ALLOWED)
            await self._app(scope, receive, send)
            return
        if found is not None and found.is_refused:
            self._count(found, Outcome.REFUSED)
            self._instance.metrics.refusals.count("ai_agent")
            await self._refusal(found)(scope, receive, send)
            return
        answer = None if path.startswith(_UNCOUNTED) else await self._stopped(scope, found, user_agent)
        if isinstance(answer, Response):
            await answer(scope, receive, send)
            return
        self._count(found, Outcome.ALLOWED)
        await self._app(answer or scope, receive, send)

    def _count(self, found: Found | None, outcome: Outcome) -> None:
        if found is not None:
            self._instance.traffic.count(found.agent, outcome)

    async def _stopped(self, scope: Scope, found: Found | None, user_agent: str) -> Response | Scope | None:
        """A refusal; or the scope of the page that asks for work; or None when it may go on."""
        rules, request = self._rules, HTTPConnection(scope)
        is_gated = self._is_gated(request, user_agent)
        if rules.rate is None and not is_gated:
            return None
        network = self._network(request)
        is_known: bool | None = None
        if rules.rate is not None and network is not None and not self._is_signed(request, network):
            is_known = await self._is_known(request, network)
            wait = 0.0 if is_known else rules.strangers.take(network)
            if wait > 0:
                self._count(found, Outcome.LIMITED)
                self._instance.metrics.refusals.count("rate_limit")
                return self._too_many(request, rules.rate, network, wait)
        if not is_gated or self._gate.lets_pass(request.cookies.get(pass_cookie(self._instance), ""), network or ""):
            return None
        if is_known is None:
            is_known = await self._is_known(request, network or "")
        return None if is_known else _led_to_gate(scope)

    def _network(self, request: HTTPConnection) -> str | None:
        """None when only a proxy is seen: then everybody would share one limit, so nobody is limited, and the log says why."""
        network = network_seen(request, self._instance)
        if network is None and not self._has_warned:
            self._has_warned = True
            log.warning(
                "crawlers.no_limit",
                reason="Requests come through a proxy that does not say for whom, or that server.trusted_proxies does not name. "
                "The limit for anonymous requests is not applied to them.",
            )
        return network

    # ------------------------------------------------------------------------------------------------- who is it?

    def _is_signed(self, request: HTTPConnection, network: str) -> bool:
        if "signature" not in request.headers and "signature-input" not in request.headers:
            return False
        return self._rules.signed.take(network) == 0.0

    async def _is_known(self, request: HTTPConnection, network: str) -> bool:
        """Is somebody signed in, or a client program with a right token? Wrong ones are looked up in bounds only."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        is_program = kind.lower() == "bearer" and bool(token)
        token = token.strip() if is_program else request.cookies.get(cookie_name(self._instance), "")
        if not token or len(token) > 200:
            return False
        hashed, now = token_hash(token), self._instance.clock()
        if self._known.get(hashed, 0) > now:
            return True
        if self._rules.rate is not None and self._rules.lookups.take(network) > 0:
            return False
        storage = self._instance.storage
        try:
            if is_program:
                is_right = await storage.read(accounts.grant_of, hashed) is not None
            else:
                is_right = await storage.read(accounts.account_of_session, hashed, now) is not None
        except Unavailable:
            return False
        if is_right:
            self._known[hashed] = now + KNOWN_MS
            self._known.move_to_end(hashed)
            if len(self._known) > 10_000:
                self._known.popitem(last=False)
        return is_right

    def _is_gated(self, request: HTTPConnection, user_agent: str) -> bool:
        chosen = self._rules.policy.enforce.proof_of_work
        if chosen == ProofOfWork.OFF or not is_for_browsers(request.scope["method"], request.scope["path"], request.headers):
            return False
        return chosen == ProofOfWork.ALWAYS or self._gate.load.is_high()

    # --------------------------------------------------------------------------------------------------- answers

    def _statement(self) -> str:
        url = self._rules.policy.statement_url
        return url if "://" in url else self._instance.config.base_url + url

    def _refusal(self, found: Found) -> Response:
        reserved = "The artists here have reserved their work from AI (Article 4 of Directive (EU) 2019/790). "
        text = (
            f"{found.agent} is not served here: the people who run this server refuse it.\n\n"
            f"{reserved if self._rules.policy.reserve.default.is_reserved else ''}"
            f"What is permitted, and whom to ask for more, is said here: {self._statement()}\n"
        )
        return PlainTextResponse(text, 403, headers={"cache-control": "no-store", "vary": "User-Agent"})

    def _too_many(self, request: HTTPConnection, rate: Rate, network: str, wait: float) -> Response:
        seconds = math.ceil(wait)
        message = (
            f"This server's limit {LIMIT_NAME} was reached: {rate.words} from one network without being signed in "
            f"(yours is {network}). Please go on in {seconds} second{'s' if seconds > 1 else ''}. Pictures do not count."
        )
        headers = {
            "retry-after": str(seconds),
            "cache-control": "no-store",
            # https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
            "ratelimit-policy": f'"{LIMIT_NAME}";q={rate.most};w={rate.seconds}',
            "ratelimit": f'"{LIMIT_NAME}";r=0;t={seconds}',
        }
        path, accept = request.scope["path"], request.headers.get("accept", "")[:2_000]
        if path.startswith(("/api/", "/.well-known/", "/nodeinfo", "/users/", "/oauth/")) or "json" in accept:
            return JSONResponse({"error": message}, 429, headers={**CORS, **headers})
        return PlainTextResponse(message + "\n", 429, headers=headers)


def _led_to_gate(scope: Scope) -> Scope:
    """The same request, for the page that asks for work: the address in the browser stays as it was."""
    query = scope["query_string"].decode("latin-1")
    wanted = scope["path"] + (f"?{query}" if query else "")
    return {
        **scope,
        "path": GATE_PATH,
        "raw_path": GATE_PATH.encode(),
        "query_string": urlencode({"next": wanted[:2_000]}).encode(),
    }
