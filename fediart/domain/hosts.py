"""Other servers as those whom we deliver to: how they fare, and what that means for the next attempt. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

DAY_MS = 24 * 3600 * 1000
DEAD_AFTER_DAYS = 8
"""A host that fails for so many days, and on as many of them, with no answer in between, counts as dead. So long a delivery
is tried: until the first has been given up, whoever comes back hears everything within the hour."""

PROBE_MS = DAY_MS
"""So often a dead host is tried without having been heard."""

PROBE_PAUSE_MS = 3600 * 1000
"""At most so often a dead host that speaks to us is tried again."""

RETRY_MS = DEAD_AFTER_DAYS * DAY_MS
"""So long a delivery is tried."""


@dataclass(frozen=True, slots=True)
class Host:
    """Times in ms since 1970. `retry_at`: before this it asked not to be spoken to. `signature`: '' is the usual form."""

    host: str
    failures: int = 0
    failing_days: int = 0
    failing_since: int | None = None
    failed_at: int | None = None
    problem: str = ""
    retry_at: int = 0
    heard_at: int | None = None
    signature: str = ""

    @property
    def is_failing(self) -> bool:
        return self.failures > 0

    @property
    def is_dead(self) -> bool:
        if self.failed_at is None or self.failing_since is None:
            return False
        return self.failing_days >= DEAD_AFTER_DAYS and self.failed_at - self.failing_since >= DEAD_AFTER_DAYS * DAY_MS

    @property
    def is_plain(self) -> bool:
        """Nothing of it must be remembered."""
        return not self.failures and not self.retry_at and not self.signature

    def failed(self, now: int, problem: str) -> Host:
        """A delivery found nobody, or somebody who could not."""
        is_new_day = self.failed_at is None or self.failed_at // DAY_MS != now // DAY_MS
        return replace(
            self,
            failures=self.failures + 1,
            failing_days=self.failing_days + is_new_day,
            failing_since=now if self.failing_since is None else self.failing_since,
            failed_at=now,
            problem=problem[:300],
        )

    def answered(self) -> Host:
        """It took a delivery, or said in so many words that it does not: it lives."""
        return Host(self.host, signature=self.signature)

    def asked_for_quiet(self, until: int) -> Host:
        return replace(self, retry_at=max(self.retry_at, until))

    def may_be_probed(self, now: int) -> bool:
        """It is dead and has just been heard: is one attempt due?"""
        return self.is_dead and (self.heard_at is None or self.heard_at <= now - PROBE_PAUSE_MS)


BACKOFF_S = (15, 60, 300, 900, 1_800)
LATER_S = 2_700
"""Seconds before each next attempt: those above, then this. A host that is away costs one request every 45 to 54 minutes,
and hears everything within the hour when it comes back."""


def wait_ms(attempts: int, age_ms: int, jitter: float, *, is_dead: bool) -> int | None:
    """Milliseconds until the next attempt after `attempts` have failed; None when enough is enough. `jitter`: 0..1.

    `age_ms`: since the delivery was due first. The last attempt is made when that is RETRY_MS or more.
    """
    if age_ms >= RETRY_MS:
        return None
    pause = BACKOFF_S[attempts - 1] if attempts <= len(BACKOFF_S) else LATER_S
    return int((PROBE_MS if is_dead else pause * 1000) * (1 + 0.2 * jitter))
