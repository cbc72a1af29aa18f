"""Deliveries leave: one at a time to each host, deferred or ended as the answer says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import structlog
from sqlalchemy import Connection

from fediart.activitypub.signatures.sign import sign_request
from fediart.instance import Instance
from fediart.remote.client import Signer
from fediart.remote.deliver import Dead, Delivered, Outcome, Retry, backoff_ms, deliver
from fediart.storage import leases
from fediart.storage.deliveries import Sending, claim_sendings, end_sendings
from fediart.storage.tables import deliveries

log = structlog.get_logger("fediart.outbox")

LEASE_MS = 120_000
LANES = 96
"""Hosts that are spoken to at the same time."""

BATCH = 96
SIDELINE_AFTER = 4
"""After so many refusals by a host that does answer, one delivery no longer holds up the others to that host."""


async def claim_deliveries(instance: Instance, lease: str, limit: int) -> Sequence[Sending]:
    return await instance.storage.write(claim_sendings, now=instance.clock(), lease=lease, lease_ms=LEASE_MS, limit=limit)


class Sender:
    """Sends lanes. How deliveries of several lanes end is written down together, before each lane goes on."""

    def __init__(self, instance: Instance, lease: str) -> None:
        self._instance = instance
        self._lease = lease
        self._ended: list[tuple[int, bool, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def send_lane(self, lane: list[Sending]) -> None:
        """One host's deliveries, one after another. When one must wait the rest is given back."""
        instance = self._instance
        for index, sending in enumerate(lane):
            if sending.key_pem is None:
                outcome: Outcome = Dead("its author is gone")
            else:
                signer = _signer(instance, sending.key_id, sending.key_pem)
                outcome = await deliver(instance.client, sending.inbox, sending.body, signer, instance.clock() / 1000)
            _report(sending, outcome)
            wait = backoff_ms(sending.attempts, random.random()) if isinstance(outcome, Retry) else None  # noqa: S311 - jitter
            if isinstance(outcome, Retry) and wait is not None:
                rest = [other.id for other in lane[index + 1 :]]
                await instance.storage.write(_put_off, sending, outcome, wait, rest, self._lease, instance.clock())
                return
            await self._end(sending.id, isinstance(outcome, Delivered))

    async def _end(self, id_: int, was_taken: bool) -> None:
        """Returns once it is on disk. What ends while a write is under way shares the next one."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended.append((id_, was_taken, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_ended())
        await written

    async def _write_ended(self) -> None:
        while self._ended:
            batch, self._ended = self._ended, []
            try:
                await self._instance.storage.write(end_sendings, [item[:2] for item in batch], lease=self._lease)
            except Exception as problem:  # each lane hears it: its rows' leases run out, and they are sent again
                for _, _, written in batch:
                    if not written.done():
                        written.set_exception(problem)
            else:
                for _, _, written in batch:
                    if not written.done():
                        written.set_result(None)
        self._writing = None


def _signer(instance: Instance, key_id: str, pem: str) -> Signer:
    def sign(method: str, url: str, body: bytes | None) -> dict[str, str]:
        return sign_request(method, url, body, key_id, pem, instance.clock())

    return sign


def _report(sending: Sending, outcome: Outcome) -> None:
    words = {"delivery": sending.id, "activity": sending.uri, "inbox": sending.inbox, "attempt": sending.attempts}
    if isinstance(outcome, Delivered):
        log.info("delivery.done", **words, status=outcome.status)
    else:
        log.warning("delivery.ended" if isinstance(outcome, Dead) else "delivery.deferred", **words, reason=outcome.reason)


def _put_off(db: Connection, sending: Sending, outcome: Retry, wait: int, rest: list[int], lease: str, now: int) -> None:
    """Write down that an attempt must be repeated, and let go of what waits behind it."""
    if outcome.after_s is not None:
        wait = max(wait, outcome.after_s * 1000)
    is_ours = leases.defer(db, deliveries, sending.id, lease=lease, run_at=now + wait, problem=outcome.reason)
    if is_ours and not outcome.host_is_away and sending.attempts >= SIDELINE_AFTER:
        leases.change_lane(db, deliveries, sending.id, f"{sending.lane} {sending.id}")
    leases.give_back(db, deliveries, rest, lease=lease)
