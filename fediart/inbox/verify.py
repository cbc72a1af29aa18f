"""Who sent this? A request is believed when it is signed by a key that its actor's own server stands by.

Verified before anything is answered: a sender that hears 202 forgets the activity.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from fediart.activitypub.identifiers import same_host
from fediart.activitypub.signatures.verify import Refused, SignatureToCheck, Verified, check_signature, read_signature
from fediart.domain.actors import Actor
from fediart.errors import FediartError, ParseError
from fediart.instance import Instance
from fediart.remote.bring_home import fetch_actor, keep_actor
from fediart.remote.fetch import fetch_document
from fediart.storage import actors

log = structlog.get_logger("fediart.inbox")

ASK_AGAIN_MS = 600_000
"""A key that could not be had, or did not fit, is not fetched again before this."""

MAX_REMEMBERED = 10_000


async def signer_of(
    instance: Instance, *, method: str, target: str, headers: Mapping[str, str], body: bytes | None
) -> Actor | Refused | None:
    """The actor who signed, or why the signature is refused; None when its key cannot be had."""
    scheme = instance.config.base_url.split(":")[0]
    hosts = frozenset({instance.config.host})
    read = read_signature(method, target, headers, body, instance.clock(), hosts, scheme)
    if isinstance(read, Refused):
        return read
    known = await _known_owner(instance, read.key_id)
    if known is not None and not known.is_local:
        verdict = check_signature(read, known.public_key_pem)
        if isinstance(verdict, Verified):
            return known
    return await _with_fresh_key(instance, read)


async def _known_owner(instance: Instance, key_id: str) -> Actor | None:
    return await instance.storage.read(actors.actor_by_key_id, key_id)


async def _with_fresh_key(instance: Instance, read: SignatureToCheck) -> Actor | Refused | None:
    """Keys are changed without notice: ask once, then not again for ten minutes."""
    now = instance.clock()
    if instance.missing_keys.get(read.key_id, 0) > now:
        return None
    if len(instance.missing_keys) > MAX_REMEMBERED:
        instance.missing_keys.clear()
    instance.missing_keys[read.key_id] = now + ASK_AGAIN_MS
    try:
        parsed = await fetch_actor(instance.seeker, await _owner_uri(instance, read.key_id))
    except FediartError as problem:
        log.info("key.not_fetched", key=read.key_id[:200], reason=problem.message, detail=problem.detail)
        return None
    if parsed.public_key_id != read.key_id or not same_host(parsed.uri, read.key_id):
        log.info("key.not_its_actors", key=read.key_id[:200], actor=parsed.uri[:200])
        return None
    verdict = check_signature(read, parsed.public_key_pem)
    if isinstance(verdict, Refused):
        return verdict
    del instance.missing_keys[read.key_id]
    return await keep_actor(instance.seeker, parsed)


async def _owner_uri(instance: Instance, key_id: str) -> str:
    """The actor behind a key's address. With a fragment it is the actor's own; without, a key document names its owner."""
    if "#" in key_id:
        return key_id.split("#")[0]
    document = await fetch_document(instance.client, key_id, instance.sign_as_instance)
    owner = document.get("owner")
    key = document.get("publicKey")
    if not isinstance(owner, str) and isinstance(key, dict):
        owner = key.get("owner")
    if not isinstance(owner, str) or not same_host(owner, key_id):
        raise ParseError("This key does not name its owner.")
    return owner
