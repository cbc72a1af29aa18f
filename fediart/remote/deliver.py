"""One delivery: a POST to one inbox, and what its answer means for the next attempt."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from fediart.activitypub.vocabulary import AP_TYPE
from fediart.errors import AddressRefused, RemoteError
from fediart.remote.client import RemoteClient, Signer

MAX_RETRY_AFTER_S = 86_400


@dataclass(frozen=True, slots=True)
class Delivered:
    status: int


@dataclass(frozen=True, slots=True)
class Retry:
    """`host_is_away`: nothing on that host will do better now. `after_s`: what it asked for, in seconds."""

    reason: str
    host_is_away: bool
    after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Dead:
    """It will never be taken."""

    reason: str


Outcome = Delivered | Retry | Dead

BACKOFF_S = (15, 60, 300, 900, 1_800) + (2_700,) * 256
"""Seconds before each next attempt; together over 8 days. A host that is away costs one request every 45 to 54 minutes,
and hears everything within the hour when it comes back."""


def backoff_ms(attempts: int, jitter: float) -> int | None:
    """Milliseconds until the next attempt after `attempts` have failed; None when enough is enough. `jitter`: 0..1."""
    if attempts > len(BACKOFF_S):
        return None
    return int(BACKOFF_S[attempts - 1] * 1000 * (1 + 0.2 * jitter))


async def deliver(client: RemoteClient, inbox: str, body: bytes, signer: Signer, now_s: float) -> Outcome:
    """POST `body` to `inbox`, signed anew: a signature holds for a host and a moment only. `now_s`: seconds since 1970."""
    try:
        headers = await client.sign(signer, "POST", inbox, body)
        answer = await client.request("POST", inbox, headers={**headers, "accept": AP_TYPE}, content=body, max_bytes=65_536)
    except AddressRefused as problem:
        return Dead(problem.message)
    except RemoteError as problem:
        return Retry(problem.detail or problem.message, host_is_away=True)
    return outcome_of(answer.status, answer.headers.get("retry-after"), now_s=now_s)


def outcome_of(status: int, retry_after: str | None, *, now_s: float) -> Outcome:
    """2xx is done; 401, 408, 425, 429 and 5xx (but 501) may change their mind; everything else will not."""
    if 200 <= status < 300:
        return Delivered(status)
    if status in (429, 503):
        return Retry(f"answered {status}", host_is_away=True, after_s=_seconds(retry_after, now_s))
    if status in (401, 408, 425) or (status >= 500 and status != 501):
        return Retry(f"answered {status}", host_is_away=status in (502, 504))
    return Dead(f"answered {status}")


def _seconds(text: str | None, now_s: float) -> int | None:
    if text is None:
        return None
    if text.strip().isdigit():
        return min(int(text.strip()[:8]), MAX_RETRY_AFTER_S)
    try:
        return max(0, min(int(parsedate_to_datetime(text[:100]).timestamp() - now_s), MAX_RETRY_AFTER_S))
    except (ValueError, TypeError, OverflowError):
        return None
