"""Who sent this? A request is believed when it is signed by a key that its actor's own server stands by.

Verified before anything is answered: a sender that hears 202 forgets the activity.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from fediart.activitypub.identifiers import same_host
from fediart.activitypub.signatures.verify import Refused, Verified, check_signature, read_signature
from fediart.domain.actors import Actor
from fediart.errors import FediartError, ParseError
from fediart.instance import Instance
from fediart.remote.bring_home import fetch_actor, keep_actor
from fediart.remote.fetch import fetch_document
from fediart.storage import actors

log = structlog.get_logger("fediart.inbox")

ASK_AGAIN_MS = 600_000
"""A key that could not be had, or did not fit, is not fetched again before this."""


async def signer_of(
    instance: Instance, *, method: str, target: str, headers: Mapping[str, str], body: bytes | None
) -> Actor | Refused | None:
    """The actor who signed, or why the signature is refused; None when its key cannot be had."""
    scheme = instance.config.base_url.split(":")[0]
    hosts = frozenset({instance.config.host})
    read = read_signature(method, target, headers, body, instance.clock(), hosts, scheme)
    if isinstance(read, Refused):
        return read
    known = instance.signers.get(read.key_id)
    if known is None:
        known = await instance.storage.read(actors.actor_by_key_id, read.key_id)
        if known is not None and not known.is_local:
            instance.signers.put(known)
    if known is not None and not known.is_local and isinstance(check_signature(read, known.public_key_pem), Verified):
        return known
    fresh = await _fresh_owner(instance, read.key_id)
    if fresh is None:
        # Others may have fetched it while this one looked into the database.
        fresh = instance.signers.get(read.key_id)
        if fresh is None or fresh is known:
            return None
    verdict = check_signature(read, fresh.public_key_pem)
    if isinstance(verdict, Refused):
        return verdict
    instance.signers.was_right(read.key_id)
    return fresh


async def _fresh_owner(instance: Instance, key_id: str) -> Actor | None:
    """Whose key this is, asked of its server. Keys are changed without notice: ask once, then not again for ten minutes.

    Those who need the same key at the same time wait for the same answer.
    """
    pending = instance.signers.asked.get(key_id)
    if pending is not None:
        return await asyncio.shield(pending)
    if not instance.signers.may_ask(key_id, instance.clock(), ASK_AGAIN_MS):
        return None
    asking = asyncio.create_task(_ask(instance, key_id))
    instance.signers.asked[key_id] = asking
    asking.add_done_callback(lambda _: instance.signers.asked.pop(key_id, None))
    return await asyncio.shield(asking)


async def _ask(instance: Instance, key_id: str) -> Actor | None:
    try:
        parsed = await fetch_actor(instance.seeker, await _owner_uri(instance, key_id))
    except FediartError as problem:
        log.info("key.not_fetched", key=key_id[:200], reason=problem.message, detail=problem.detail)
        return None
    if parsed.public_key_id != key_id or not same_host(parsed.uri, key_id):
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
    owner = document.get("owner")
    key = document.get("publicKey")
    if not isinstance(owner, str) and isinstance(key, dict):
        owner = key.get("owner")
    if not isinstance(owner, str) or not same_host(owner, key_id):
        raise ParseError("This key does not name its owner.")
    return owner
