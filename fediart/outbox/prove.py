"""What a local actor says to everybody gets an integrity proof, once, when it is said: docs/proofs.md.

Nothing else gets one: a proof cannot be taken back, and what is for a few should not be provable to all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from fediart.activitypub.signatures.integrity import add_proof
from fediart.activitypub.vocabulary import AS_PUBLIC
from fediart.storage import actors


def is_for_everybody(document: Mapping[str, Any]) -> bool:
    return AS_PUBLIC in document.get("to", ()) or AS_PUBLIC in document.get("cc", ())


def proven(db: Connection, document: dict[str, Any], actor_id: int, at: int) -> dict[str, Any]:
    """The document with a proof by this actor, made at `at`; as it is where it is not for everybody."""
    key = actors.proof_key(db, actor_id) if is_for_everybody(document) else None
    return add_proof(document, *key, at) if key is not None else document
