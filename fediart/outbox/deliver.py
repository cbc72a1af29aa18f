"""Deliveries leave: one at a time to each host, deferred or ended as the answer says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import structlog
from sqlalchemy import Connection

from fediart.activitypub.builders.activities import outdated_by
from fediart.activitypub.signatures.sign import Form, sign_as
from fediart.activitypub.synchronisation import HEADER, Synchronisation, build_header, digest_of, synchronisation_url
from fediart.domain.hosts import PROBE_MS, RETRY_MS, Host, wait_ms
from fediart.ids import time_of
from fediart.instance import DELIVERY, Instance
from fediart.remote.client import Signer
from fediart.remote.deliver import MAX_RETRY_AFTER_S, Dead, Delivered, Outcome, Retry, deliver
from fediart.remote.hosts import OnePerHost
from fediart.storage import leases
from fediart.storage.deliveries import (
    PartOfFollowers,
    Sending,
    claim_sendings,
    end_lane,
    end_sendings,
    hold_lane,
    host_of_lane,
    is_awaited,
    try_again,
    try_one,
)
from fediart.storage.hosts import host_named, put_host
from fediart.storage.tables import deliveries

log = structlog.get_logger("fediart.outbox")

LEASE_MS = 120_000
LANES = 96
"""Hosts that are spoken to at the same time."""

BATCH = 96
LONGEST_WAIT_MS = int(1.2 * PROBE_MS)
"""No retry waits for longer."""

SIDELINE_AFTER = 4
"""After so many refusals by a host that does answer, one delivery no longer holds up the others to that host."""


async def claim_deliveries(instance: Instance, lease: str, limit: int) -> Sequence[Sending]:
    return await instance.storage.write(
        claim_sendings, now=instance.clock(), lease=lease, lease_ms=LEASE_MS, limit=limit, later=outdated_by
    )


NEXT_LOOK_MS = 30_000
"""A delivery that waits by itself looks again after this when its host is being spoken to."""


async def heard_from(instance: Instance, name: str) -> None:
    """A host signed something that is verified. If it counts as dead, that is worth one attempt; else it changes nothing.

    Who can speak can perhaps not hear: it counts as dead until it has answered.
    """
    instance.sightings.heard(name)
    host, now = instance.hosts.of(name), instance.clock()
    if not host.may_be_probed(now):
        return
    host = replace(host, heard_at=now)
    instance.hosts.put(host)
    if await instance.storage.write(_let_try, host, now):
        instance.wake(DELIVERY)


def _let_try(db: Connection, host: Host, now: int) -> bool:
    put_host(db, host)
    return try_one(db, host.host, now)


async def try_now(instance: Instance, name: str) -> int:
    """Somebody who looks after this server wants it tried again at once. Returns how many deliveries wait there."""
    count = await instance.storage.write(_try_now, name, instance.clock())
    held = await instance.storage.read(host_named, name)
    instance.hosts.put(held or Host(name))
    instance.wake(DELIVERY)
    return count


def _try_now(db: Connection, name: str, now: int) -> int:
    held = host_named(db, name)
    if held is not None:
        put_host(db, replace(held, retry_at=0))
    return try_again(db, name, now)


CATCH_UP_S = 0.2
"""Between two requests to a host that was away and has not heard everything yet."""


class Sender:
    """Sends lanes. How deliveries of several lanes end is written down together, before each lane goes on.

    A host that comes back hears what has waited for it at five requests a second at most. `pause`: waits for so many seconds.
    """

    def __init__(self, instance: Instance, lease: str, pause: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._instance = instance
        self._lease = lease
        self._pause = pause
        self._catching_up: set[str] = set()
        self._ended: list[tuple[int, str | None, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._speaking = OnePerHost()

    async def send_lane(self, lane: list[Sending]) -> None:
        """One host's deliveries, one after another. When one must wait the rest is given back."""
        host = host_of_lane(lane[0].lane)
        waits_by_itself = lane[0].lane != host
        if waits_by_itself and self._speaking.is_busy(host):
            await self._wait(lane, self._instance.clock() + NEXT_LOOK_MS, lane[0].problem)
            return
        async with self._speaking.turn(host):
            await self._send(host, lane)

    async def _quiet_until(self, name: str) -> int:
        """Before this the host wants to hear nothing. Somebody may have decided otherwise, in another process."""
        held, now = self._instance.hosts.of(name), self._instance.clock()
        if held.retry_at > now + MAX_RETRY_AFTER_S * 1000:
            return 0  # nobody can ask for so much: the clock went back since
        if held.retry_at > now:
            stored = await self._instance.storage.read(host_named, name)
            held = stored or Host(name)
            self._instance.hosts.put(held)
        return held.retry_at

    async def _wait(self, lane: list[Sending], run_at: int, problem: str) -> None:
        """Nothing is sent now. The first waits, and with it those behind."""
        rest = [sending.id for sending in lane[1:]]
        await self._instance.storage.write(_let_wait, lane[0], run_at, problem, rest, self._lease)

    async def _send(self, host: str, lane: list[Sending]) -> None:
        instance = self._instance
        if (quiet := await self._quiet_until(host)) > instance.clock():
            await self._wait(lane, quiet, lane[0].problem or "it asked us to wait")
            return
        if instance.hosts.of(host).is_failing:
            self._catching_up.add(host)
        for index, sending in enumerate(lane):
            if index and host in self._catching_up:
                await self._pause(CATCH_UP_S)
            if sending.key_pem is None:
                outcome: Outcome = Dead("its author is gone")
            else:
                signer = _signer(instance, sending.key_id, sending.key_pem, _also(sending.followers))
                outcome = await deliver(instance.client, sending.inbox, sending.body, signer, instance.clock() / 1000)
            _report(instance, sending, outcome)
            if isinstance(outcome, Retry):
                rest = [other.id for other in lane[index + 1 :]]
                held = _after(instance.hosts.of(host), outcome, instance.clock())
                await instance.storage.write(_put_off, sending, outcome, held, rest, self._lease, instance.clock())
                instance.hosts.put(held)
                self._catching_up.discard(host)
                return
            if isinstance(outcome, Delivered) or outcome.was_answered:
                await instance.hosts.learn(instance.hosts.of(host).answered())
            await self._end(sending.id, outcome.reason if isinstance(outcome, Dead) else None)
        if host in self._catching_up:
            if await instance.storage.read(is_awaited, host):
                await self._pause(CATCH_UP_S)
            else:
                self._catching_up.discard(host)

    async def _end(self, id_: int, problem: str | None) -> None:
        """Returns once it is on disk. What ends while a write is under way shares the next one. `problem` None: it was taken."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended.append((id_, problem, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_ended())
        await written

    async def _write_ended(self) -> None:
        while self._ended:
            batch, self._ended = self._ended, []
            try:
                ended = [item[:2] for item in batch]
                await self._instance.storage.write(end_sendings, ended, lease=self._lease, now=self._instance.clock())
            except Exception as problem:  # each lane hears it: its rows' leases run out, and they are sent again
                for _, _, written in batch:
                    if not written.done():
                        written.set_exception(problem)
            else:
                for _, _, written in batch:
                    if not written.done():
                        written.set_result(None)
        self._writing = None


def _signer(instance: Instance, key_id: str, pem: str, also: dict[str, str]) -> Signer:
    def sign(form: Form, method: str, url: str, body: bytes | None) -> dict[str, str]:
        return sign_as(form, method, url, body, key_id, pem, instance.clock(), also)

    return sign


def _also(part: PartOfFollowers | None) -> dict[str, str]:
    """Whom of the receiver we count among the followers (FEP-8fcf)."""
    if part is None:
        return {}
    said = Synchronisation(part.collection, synchronisation_url(part.collection), digest_of(part.uris))
    return {HEADER: build_header(said)}


def _report(instance: Instance, sending: Sending, outcome: Outcome) -> None:
    words = {"delivery": sending.id, "activity": sending.uri, "inbox": sending.inbox, "attempt": sending.attempts}
    if isinstance(outcome, Delivered):
        instance.metrics.deliveries_done.count("delivered")
        instance.sightings.reached(host_of_lane(sending.lane))
        log.info("delivery.done", **words, status=outcome.status)
    else:
        detail = outcome.detail if isinstance(outcome, Retry) else None
        event = "delivery.ended" if isinstance(outcome, Dead) else "delivery.deferred"
        instance.metrics.deliveries_done.count(event.rpartition(".")[2])
        log.warning(event, **words, reason=outcome.reason, detail=detail)


def _after(host: Host, outcome: Retry, now: int) -> Host:
    """How the host stands after an attempt that must be repeated."""
    host = host.failed(now, outcome.reason) if outcome.is_failure else replace(host.answered(), retry_at=host.retry_at)
    return host.asked_for_quiet(now + outcome.after_s * 1000) if outcome.after_s else host


def _put_off(db: Connection, sending: Sending, outcome: Retry, host: Host, rest: list[int], lease: str, now: int) -> None:
    """Write down that an attempt must be repeated, or that it was the last, and let go of what waits behind it."""
    put_host(db, host)
    asked = outcome.after_s * 1000 if outcome.after_s else 0
    jitter = random.random()  # noqa: S311 - nobody gains by guessing it
    wait = wait_ms(sending.attempts, now - time_of(sending.id), jitter, is_dead=host.is_dead)
    if wait is not None:
        run_at = now + max(wait, asked)
        is_ours = leases.defer(db, deliveries, sending.id, lease=lease, run_at=run_at, problem=outcome.reason)
        if is_ours and not outcome.host_is_away and sending.attempts >= SIDELINE_AFTER and sending.lane == host.host:
            leases.change_lane(db, deliveries, sending.id, f"{sending.lane} {sending.id}")
        leases.give_back(db, deliveries, rest, lease=lease)
        return
    leases.give_back(db, deliveries, rest, lease=lease)
    if not outcome.host_is_away:
        end_sendings(db, [(sending.id, outcome.reason)], lease=lease, now=now)
        return
    # All that is as old has waited for the same host as long; what is younger goes on waiting, without a try of its own now.
    end_lane(db, sending.lane, before=now - RETRY_MS + 1, lease=lease, now=now, problem=outcome.reason)
    later = wait_ms(sending.attempts, 0, jitter, is_dead=host.is_dead) or 0
    hold_lane(db, sending.lane, lease=lease, run_at=now + max(later, asked), problem=outcome.reason)


def _let_wait(db: Connection, sending: Sending, run_at: int, problem: str, rest: list[int], lease: str) -> None:
    leases.defer(db, deliveries, sending.id, lease=lease, run_at=run_at, problem=problem)
    leases.give_back(db, deliveries, rest, lease=lease)
