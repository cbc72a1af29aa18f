"""Every verb this server says, in the smallest shape that every validator we read accepts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fediart.activitypub.vocabulary import AS, AS_PUBLIC, NOTE_CONTEXT
from fediart.clock import to_iso

UPDATES = "#updates/"


def _inner(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "@context"}


def build_create(note: dict[str, Any]) -> dict[str, Any]:
    return {
        "@context": NOTE_CONTEXT,
        "id": f"{note['id']}/activity",
        "type": "Create",
        "actor": note["attributedTo"],
        "published": note["published"],
        "to": note["to"],
        "cc": note["cc"],
        "object": _inner(note),
    }


def build_update(document: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """Update of a note or of an actor."""
    is_note = "attributedTo" in document
    return {
        "@context": document["@context"],
        "id": f"{document['id']}{UPDATES}{now_ms}",
        "type": "Update",
        "actor": document["attributedTo"] if is_note else document["id"],
        "to": document["to"] if is_note else [AS_PUBLIC],
        "cc": document["cc"] if is_note else [],
        "object": _inner(document),
    }


def build_delete(work_uri: str, actor_uri: str, to: Sequence[str], cc: Sequence[str]) -> dict[str, Any]:
    return {
        "@context": AS,
        "id": f"{work_uri}#delete",
        "type": "Delete",
        "actor": actor_uri,
        "to": list(to),
        "cc": list(cc),
        "object": {"id": work_uri, "type": "Tombstone"},
    }


def outdated_by(uri: str) -> tuple[str, str] | None:
    """The uri of an activity → (how the uris of later ones begin, or ''; the uri of one) that leave nothing of it to be said.

    An Update is outdated by the next Update of the same and by its Delete, a Create by the Delete alone. None: it is always said.
    """
    of_update, is_update, _ = uri.rpartition(UPDATES)
    if is_update:
        return of_update + UPDATES, f"{of_update}#delete"
    if uri.endswith("/activity"):
        return "", f"{uri.removesuffix('/activity')}#delete"
    return None


def build_move(uri: str, actor_uri: str, target_uri: str, followers_uri: str) -> dict[str, Any]:
    return {
        "@context": AS,
        "id": uri,
        "type": "Move",
        "actor": actor_uri,
        "object": actor_uri,
        "target": target_uri,
        "to": [followers_uri],
    }


def build_delete_actor(actor_uri: str) -> dict[str, Any]:
    return {
        "@context": AS,
        "id": f"{actor_uri}#delete",
        "type": "Delete",
        "actor": actor_uri,
        "object": actor_uri,
        "to": [AS_PUBLIC],
    }


def build_follow(uri: str, actor_uri: str, target_uri: str) -> dict[str, Any]:
    return {"@context": AS, "id": uri, "type": "Follow", "actor": actor_uri, "object": target_uri}


def _answer(kind: str, uri: str, actor_uri: str, follow: dict[str, Any]) -> dict[str, Any]:
    return {"@context": AS, "id": uri, "type": kind, "actor": actor_uri, "object": _inner(follow)}


def build_accept(uri: str, actor_uri: str, follow: dict[str, Any]) -> dict[str, Any]:
    """`follow` goes back as it was received: Pixelfed and Mastodon match it by its parts."""
    return _answer("Accept", uri, actor_uri, follow)


def build_reject(uri: str, actor_uri: str, follow: dict[str, Any]) -> dict[str, Any]:
    return _answer("Reject", uri, actor_uri, follow)


def build_undo(uri: str, actor_uri: str, undone: dict[str, Any]) -> dict[str, Any]:
    return {"@context": AS, "id": uri, "type": "Undo", "actor": actor_uri, "object": _inner(undone)}


def build_block(uri: str, actor_uri: str, target_uri: str) -> dict[str, Any]:
    return {"@context": AS, "id": uri, "type": "Block", "actor": actor_uri, "object": target_uri}


def build_flag(uri: str, instance_uri: str, objects: Sequence[str], words: str) -> dict[str, Any]:
    """By the instance's actor: who reported is not told. `objects`: the actor, then its works."""
    return {
        "@context": AS,
        "id": uri,
        "type": "Flag",
        "actor": instance_uri,
        "object": list(objects),
        "content": words,
        "to": [objects[0]],
    }


def build_like(uri: str, actor_uri: str, work_uri: str) -> dict[str, Any]:
    return {"@context": AS, "id": uri, "type": "Like", "actor": actor_uri, "object": work_uri}


def build_announce(uri: str, actor_uri: str, work_uri: str, author_uri: str, followers_uri: str, now_ms: int) -> dict[str, Any]:
    return {
        "@context": AS,
        "id": uri,
        "type": "Announce",
        "actor": actor_uri,
        "published": to_iso(now_ms),
        "to": [AS_PUBLIC],
        "cc": [followers_uri, author_uri],
        "object": work_uri,
    }
