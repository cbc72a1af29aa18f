"""Who sent this, and who said it? A request is believed when it is signed by a key that its actor's own server stands by; an
activity also when it carries an integrity proof by such a key, whoever brings it. What holds when: docs/proofs.md.

Verified before anything is answered: a sender that hears 202 forgets the activity.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeVar

import structlog

from fediart.activitypub.identifiers import host_of, same_host
from fediart.activitypub.signatures.integrity import Flaw, Unproven, check_proof, read_proof
from fediart.activitypub.signatures.verify import Reason, Refused, check_signature, read_signature
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.errors import FediartError, ParseError
from fediart.instance import Instance
from fediart.remote.bring_home import fetch_actor, keep_actor, meet
from fediart.remote.fetch import fetch_document
from fediart.storage import actors

log = structlog.get_logger("fediart.inbox")

R = TypeVar("R")

ASK_AGAIN_MS = 600_000
"""A key that could not be had, or did not fit, is not fetched again before this."""


async def signer_of(
    instance: Instance,
    *,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes | None,
    may_fetch: Callable[[str], bool] = lambda _: True,
) -> Actor | Refused | None:
    """The actor who signed, or why the signature is refused; None when its key cannot be had.

    `may_fetch`: asked with the id of a key before its server is.
    """
    scheme = instance.config.base_url.split(":")[0]
    hosts = frozenset({instance.config.host})
    read = read_signature(method, target, headers, body, instance.clock(), hosts, scheme)
    if isinstance(read, Refused):
        return read

    def judge(actor: Actor) -> Refused | None:
        key = actor.key(read.key_id, instance.clock())
        verdict = check_signature(read, key) if key is not None else Refused(Reason.KEY)
        return verdict if isinstance(verdict, Refused) else None

    return await _owner_by(instance, read.key_id, judge, asked_as=read.key_id, may_fetch=may_fetch)


PROOF_ALONE_MS = 14 * 24 * 3600 * 1000
"""So old a proof may be that is believed by itself. Ids of what arrived are kept longer (`office/prune`): none counts twice."""

SMALL = 65_536
"""Bytes of a body whose hash an event loop does not notice."""


async def prover_of(instance: Instance, activity: ParsedActivity, signer: Actor, size: int) -> Actor | Unproven | None:
    """The actor, where the activity carries a proof that is right; None where there is none, or its key cannot be had.

    Unproven: it is wrong, and then who signed the request does not matter. `size`: bytes of the body.
    """
    document, now = activity.raw, instance.clock()
    if "proof" not in document:
        return None
    read = read_proof(document, now) if size <= SMALL else await asyncio.to_thread(read_proof, document, now)
    if read is None or isinstance(read, Unproven):
        return read
    key_id = read.key_id
    if not same_host(key_id, activity.actor) or ("#" in key_id and key_id.split("#")[0] != activity.actor):
        return Unproven(Flaw.KEY)
    is_alone = signer.uri != activity.actor
    if is_alone and (read.created_ms is None or read.created_ms < now - PROOF_ALONE_MS):
        return Unproven(Flaw.TIME)

    def judge(actor: Actor) -> Unproven | None:
        key = actor.multikey(key_id, instance.clock())
        if actor.uri != activity.actor or key is None:
            return Unproven(Flaw.KEY)
        return None if check_proof(read, key) else Unproven(Flaw.WRONG)

    # An actor has as many ids for keys as somebody cares to make up: it is the actor that is asked for once.
    return await _owner_by(instance, key_id, judge, asked_as=f"proofs of {activity.actor}", owner_uri=activity.actor)


async def _owner_by(
    instance: Instance,
    key_id: str,
    judge: Callable[[Actor], R | None],
    *,
    asked_as: str,
    owner_uri: str | None = None,
    may_fetch: Callable[[str], bool] = lambda _: True,
) -> Actor | R | None:
    """Whose key this is, once `judge` finds nothing to refuse: as known here, else as its server says now.

    None: it cannot be had. `asked_as`: under which name it is remembered that it was asked for. `owner_uri`: who it must be.
    """
    known = instance.signers.get(key_id)
    if known is None:
        known = await instance.storage.read(actors.actor_by_key_id, key_id)
        if known is not None and not known.is_local:
            instance.signers.put(known)
    refused = judge(known) if known is not None and not known.is_local else None
    if known is not None and not known.is_local and refused is None:
        return known
    fresh = await _fresh_owner(instance, key_id, asked_as, owner_uri) if may_fetch(key_id) else None
    if fresh is None:
        # Others may have fetched it while this one looked into the database.
        fresh = instance.signers.get(key_id)
        if fresh is None or fresh is known:
            return refused
    refused = judge(fresh)
    if refused is not None:
        return refused
    instance.signers.was_right(asked_as)
    return fresh


async def _fresh_owner(instance: Instance, key_id: str, asked_as: str, owner_uri: str | None) -> Actor | None:
    """Whose key this is, asked of its server. Keys are changed without notice: ask once, then not again for ten minutes.

    Those who need the same key at the same time wait for the same answer.
    """
    pending = instance.signers.asked.get(key_id)
    if pending is not None:
        return await asyncio.shield(pending)
    if not instance.signers.may_ask(asked_as, instance.clock(), ASK_AGAIN_MS):
        return None
    asking = asyncio.create_task(_ask(instance, key_id, owner_uri))
    instance.signers.asked[key_id] = asking
    asking.add_done_callback(lambda _: instance.signers.asked.pop(key_id, None))
    return await asyncio.shield(asking)


async def _ask(instance: Instance, key_id: str, owner_uri: str | None) -> Actor | None:
    try:
        await meet(instance.seeker, host_of(key_id))
        parsed = await fetch_actor(instance.seeker, owner_uri or await _owner_uri(instance, key_id))
    except FediartError as problem:
        log.info("key.not_fetched", key=key_id[:200], reason=problem.message, detail=problem.detail)
        return None
    ids = {parsed.public_key_id, *(key.id for key in parsed.multikeys)}
    if key_id not in ids or not same_host(parsed.uri, key_id):
        log.info("key.not_its_actors", key=key_id[:200], actor=parsed.uri[:200])
        return None
    return await keep_actor(instance.seeker, parsed)


async def _owner_uri(instance: Instance, key_id: str) -> str:
    """The actor behind a key's address. With a fragment it is the actor's own; without, a key document names its owner."""
    if "#" in key_id:
        return key_id.split("#")[0]
    if instance.identifiers.pretends_local(key_id):
        raise ParseError("This key would be ours.")
    document = await fetch_document(instance.client, key_id, instance.sign_as_instance)
    owner = document.get("owner", document.get("controller"))
    key = document.get("publicKey")
    if not isinstance(owner, str) and isinstance(key, dict):
        owner = key.get("owner")
    if not isinstance(owner, str) or not same_host(owner, key_id):
        raise ParseError("This key does not name its owner.")
    return owner
