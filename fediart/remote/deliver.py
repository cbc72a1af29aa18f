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
    """`host_is_away`: nothing on that host will do better now. `after_s`: what it asked for, in seconds.

    `is_failure`: it was not reached, or is broken, which counts against it; who says "not now" is well.
    """

    reason: str
    host_is_away: bool
    is_failure: bool
    after_s: int | None = None
    detail: str | None = None
    """For the log only."""


@dataclass(frozen=True, slots=True)
class Dead:
    """It will never be taken. `was_answered`: the host itself said so."""

    reason: str
    was_answered: bool = False


Outcome = Delivered | Retry | Dead


async def deliver(client: RemoteClient, inbox: str, body: bytes, signer: Signer, now_s: float) -> Outcome:
    """POST `body` to `inbox`, signed anew: a signature holds for a host and a moment only. `now_s`: seconds since 1970."""
    try:
        answer = await client.signed(signer, "POST", inbox, headers={"accept": AP_TYPE}, content=body, max_bytes=65_536)
    except AddressRefused as problem:
        return Dead(problem.message)
    except RemoteError as problem:
        return Retry(problem.message, host_is_away=True, is_failure=True, detail=problem.detail)
    return outcome_of(answer.status, answer.headers.get("retry-after"), now_s=now_s)


def outcome_of(status: int, retry_after: str | None, *, now_s: float) -> Outcome:
    """2xx is done; 401, 408, 425, 429 and 5xx (but 501) may change their mind; everything else will not."""
    if 200 <= status < 300:
        return Delivered(status)
    if status in (429, 503):
        return Retry(f"answered {status}", True, is_failure=status == 503, after_s=seconds_of(retry_after, now_s))
    if status in (401, 408, 425) or (status >= 500 and status != 501):
        return Retry(f"answered {status}", host_is_away=status in (502, 504), is_failure=status >= 500)
    return Dead(f"answered {status}", was_answered=True)


def seconds_of(text: str | None, now_s: float) -> int | None:
    """Of a Retry-After header: a number, or a date; at most a day."""
    if text is None:
        return None
    if text.strip().isdigit():
        return min(int(text.strip()[:8]), MAX_RETRY_AFTER_S)
    try:
        return max(0, min(int(parsedate_to_datetime(text[:100]).timestamp() - now_s), MAX_RETRY_AFTER_S))
    except (ValueError, TypeError, OverflowError):
        return None
