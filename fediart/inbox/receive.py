"""An activity arrives: bounds, signature, ownership, then one committed row and 202. Handling it is a job's work."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from fediart.activitypub.identifiers import host_of, same_host
from fediart.activitypub.parsers.activity import parse_activity
from fediart.activitypub.parsers.json_document import MAX_BYTES, load_document
from fediart.activitypub.signatures.integrity import Unproven
from fediart.activitypub.signatures.verify import Refused
from fediart.activitypub.vocabulary import ParsedActivity
from fediart.domain.actors import Actor
from fediart.errors import ParseError
from fediart.inbox.dispatch import HANDLERS
from fediart.inbox.synchronise import hear_of_followers
from fediart.inbox.verify import prover_of, signer_of
from fediart.instance import Instance
from fediart.outbox.deliver import heard_from
from fediart.storage import actors, arrivals

log = structlog.get_logger("fediart.inbox")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the sender hears. `reason`: by which name this is counted. `error` is safe to show."""

    status: int
    reason: str
    error: str | None = None
    retry_after: int | None = None


ACCEPTED = Receipt(202, "new")
REPEATED = Receipt(202, "repeated")
UNKNOWN_TYPE = Receipt(202, "unknown_type")
ABOUT_A_STRANGER = Receipt(202, "about_a_stranger")


async def receive(instance: Instance, *, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Receipt:
    """Judge one POST to an inbox. `headers` have lower-case names. 202 only after the activity is on disk.

    Raises Unavailable when it cannot be put there now.
    """
    if len(body) > MAX_BYTES:
        return Receipt(413, "too_large", "An activity has at most 1 MB.")
    try:
        activity = parse_activity(load_document(body))
    except ParseError as problem:
        return Receipt(problem.status, "not_understood", problem.message)
    if instance.host_rules.blocks(host_of(activity.actor)):
        log.info("inbox.blocked_host", actor=activity.actor[:200], kind=activity.type)
        return Receipt(403, "blocked_host", "This server does not speak with yours.")
    if await _is_about_a_stranger(instance, activity):
        return ABOUT_A_STRANGER
    signer = await signer_of(instance, method=method, target=target, headers=headers, body=body)
    if signer is None or isinstance(signer, Refused):
        reason = signer.reason.value if signer is not None else "the key cannot be fetched"
        log.info("inbox.refused", reason=reason, actor=activity.actor[:200], kind=activity.type)
        name = signer.reason.name.lower() if signer is not None else "key_not_fetched"
        return Receipt(401, f"signature_{name}", f"Not verified: {reason}.")
    if not same_host(activity.uri, activity.actor):
        return _not_its_actor(signer, activity)
    prover = await prover_of(instance, activity, signer, len(body)) if _may_be_proven(instance, activity, signer) else None
    if isinstance(prover, Unproven):
        log.info("inbox.refused", reason=prover.reason.value, actor=activity.actor[:200], kind=activity.type, signer=signer.uri)
        return Receipt(401, f"proof_{prover.reason.name.lower()}", f"Not verified: {prover.reason.value}.")
    if signer.uri != activity.actor and prover is None:
        return _not_its_actor(signer, activity)
    await heard_from(instance, signer.host)
    sender = prover or signer
    if activity.type not in HANDLERS:
        log.info("inbox.unknown_type", kind=activity.type, actor=sender.uri, activity=activity.uri)
        return UNKNOWN_TYPE
    fresh = await instance.storage.write(
        arrivals.receive,
        uri=_told_as(activity, headers, body, is_proven=prover is not None),
        actor_uri=sender.uri,
        body=body,
        now=instance.clock(),
        has_proof=prover is not None,
    )
    if fresh:
        instance.accepted_at = time.monotonic()
        instance.wake("arrival")
        await hear_of_followers(instance, signer, headers)
    return ACCEPTED if fresh else REPEATED


PASSED_ON = frozenset({"Add", "Announce", "Create", "Delete", "EmojiReact", "Like", "Remove", "Update"})
"""What is taken from somebody else than its actor, if it carries a proof. The others are between two servers, and some of them
could be said again by whoever once heard them."""


def _may_be_proven(instance: Instance, activity: ParsedActivity, signer: Actor) -> bool:
    """Is it worth looking at a proof? Of what is passed on, only where both may speak here."""
    if signer.uri == activity.actor:
        return True
    may_speak = not signer.is_suspended and not instance.identifiers.pretends_local(activity.actor)
    return may_speak and activity.type in PASSED_ON


def _not_its_actor(signer: Actor, activity: ParsedActivity) -> Receipt:
    """Somebody passes on what another said. Whoever said it can be asked; we do not take their word for it."""
    log.info("inbox.not_its_actor", signer=signer.uri, actor=activity.actor[:200])
    return Receipt(401, "not_its_actor", "Not verified: signed by somebody else than its actor.")


_ID_USED_AGAIN = frozenset({"Follow", "Like", "EmojiReact", "Announce", "Block", "Add", "Remove", "Undo"})
"""What can be said, taken back and said again. Misskey makes these ids from who follows whom, snac from who likes or boosts
what, and Takahē keeps one for each pair: the second time has the id of the first."""


def _told_as(activity: ParsedActivity, headers: Mapping[str, str], body: bytes, *, is_proven: bool) -> str:
    """What must be new: an activity's id; where ids are used again, the id and the signature it came with.

    What carries a proof can be said again by whoever once heard it, under a signature of their own: there the id alone counts,
    but for verbs that are taken from their actor only. Takahē has one id for all edits of a post, and one for all of a profile.
    A post's are told apart by what they say, so that an old one that is sent again changes nothing; a profile is asked of its
    server, and may be what it was before.
    """
    if is_proven and activity.type in PASSED_ON:
        return activity.uri
    if activity.type in _ID_USED_AGAIN or (activity.type == "Update" and activity.object_uri == activity.actor):
        return f"{activity.uri} {hashlib.sha256(headers['signature'].encode()).hexdigest()}"
    if activity.type == "Update":
        return f"{activity.uri} {hashlib.sha256(body).hexdigest()}"
    return activity.uri


async def _is_about_a_stranger(instance: Instance, activity: ParsedActivity) -> bool:
    """A server tells everyone of an account that is gone. Of one we never knew there is nothing to do, nor a key to fetch."""
    if activity.type not in ("Delete", "Update") or activity.object_uri != activity.actor:
        return False
    return await instance.storage.read(actors.actor_by_uri, activity.actor) is None
