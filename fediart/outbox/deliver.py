"""Deliveries leave: claimed in batches, one at a time to each host, deferred or ended as the answer says."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import structlog
from sqlalchemy import Connection, Row

from fediart.activitypub.signatures.sign import sign_request
from fediart.instance import Instance
from fediart.remote.client import Signer
from fediart.remote.deliver import Dead, Delivered, Outcome, Retry, backoff_ms, deliver
from fediart.storage import deliveries as rows
from fediart.storage import leases
from fediart.storage.tables import deliveries

log = structlog.get_logger("fediart.outbox")

LEASE_MS = 120_000
BATCH = 128
SIDELINE_AFTER = 4
"""After so many refusals by a host that does answer, one delivery no longer holds up the others to that host."""


async def deliver_some(instance: Instance, lease: str) -> int:
    """Claim what is due and send it. Returns how many were claimed."""
    claimed = await instance.storage.write(
        leases.claim, deliveries, now=instance.clock(), lease=lease, lease_ms=LEASE_MS, limit=BATCH
    )
    if not claimed:
        return 0
    said = await instance.storage.read(rows.activity_bodies, [row.activity_id for row in claimed])
    lanes: dict[str, list[Row[Any]]] = {}
    for row in claimed:
        lanes.setdefault(row.lane, []).append(row)
    await asyncio.gather(*(_send_lane(instance, lane, said, lease) for lane in lanes.values()))
    return len(claimed)


async def _send_lane(instance: Instance, lane: list[Row[Any]], said: dict[int, Row[Any]], lease: str) -> None:
    """One host's deliveries, one after another. When the host is away the rest is given back."""
    for index, row in enumerate(lane):
        activity = said.get(row.activity_id)
        if activity is None or activity.private_key_pem is None:
            outcome: Outcome = Dead("its author is gone")
        else:
            signer = _signer(instance, activity.public_key_id, activity.private_key_pem)
            outcome = await deliver(instance.client, row.inbox, activity.body, signer)
        uri = activity.uri if activity is not None else ""
        _report(row, uri, outcome)
        await instance.storage.write(_settle, row, outcome, lease, instance.clock(), random.random())  # noqa: S311 - jitter
        if isinstance(outcome, Retry):
            await instance.storage.write(leases.give_back, deliveries, [rest.id for rest in lane[index + 1 :]], lease=lease)
            return


def _signer(instance: Instance, key_id: str, pem: str) -> Signer:
    def sign(method: str, url: str, body: bytes | None) -> dict[str, str]:
        return sign_request(method, url, body, key_id, pem, instance.clock())

    return sign


def _report(row: Row[Any], uri: str, outcome: Outcome) -> None:
    words = {"delivery": row.id, "activity": uri, "inbox": row.inbox, "attempt": row.attempts}
    if isinstance(outcome, Delivered):
        log.info("delivery.done", **words, status=outcome.status)
    else:
        log.warning("delivery.ended" if isinstance(outcome, Dead) else "delivery.deferred", **words, reason=outcome.reason)


def _settle(db: Connection, row: Row[Any], outcome: Outcome, lease: str, now: int, jitter: float) -> None:
    """Write down how one attempt ended."""
    wait = backoff_ms(row.attempts, jitter) if isinstance(outcome, Retry) else None
    if isinstance(outcome, Retry) and wait is not None:
        if outcome.after_s is not None:
            wait = max(wait, outcome.after_s * 1000)
        if leases.defer(db, deliveries, row.id, lease=lease, run_at=now + wait, problem=outcome.reason):
            if outcome.host_is_away:
                leases.defer_lane(db, deliveries, row.lane, run_at=now + wait)
            elif row.attempts >= SIDELINE_AFTER:
                leases.change_lane(db, deliveries, row.id, f"{row.lane} {row.id}")
        return
    if leases.finish(db, deliveries, [row.id], lease=lease):
        done = isinstance(outcome, Delivered)
        rows.count_outcomes(db, row.activity_id, delivered=int(done), failed=int(not done))
