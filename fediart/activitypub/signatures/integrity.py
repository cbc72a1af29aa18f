"""Integrity proofs: what an actor said is believable wherever it comes from. FEP-8b32 with `eddsa-jcs-2022`.

https://codeberg.org/fediverse/fep/src/branch/main/fep/8b32/fep-8b32.md, https://www.w3.org/TR/vc-di-eddsa/#eddsa-jcs-2022.
As with requests, `read_proof` says which key is needed and `check_proof` judges with it. No other suite is understood, and
Linked Data signatures are not: what they sign can be rearranged (CVE-2026-46349).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from fediart.activitypub.signatures.canonical import NotCanonical, canonical
from fediart.activitypub.signatures.keys import load_ed25519_private, load_multikey
from fediart.activitypub.signatures.multibase import base58_multibase, read_multibase
from fediart.activitypub.signatures.verify import FUTURE_MS
from fediart.activitypub.vocabulary import DATA_INTEGRITY
from fediart.clock import from_iso, to_iso

_KIND, _SUITE, _PURPOSE = "DataIntegrityProof", "eddsa-jcs-2022", "assertionMethod"
MOST_PROOFS = 4
"""Of a document that has several, so many are looked at to find one that is understood."""


class Flaw(StrEnum):
    """Why a proof is refused; each has its own counter in the logs."""

    MALFORMED = "its proof cannot be read"
    TIME = "its proof is too old, from the future, or of no known time"
    KEY = "its proof is by a key that is not its actor's"
    WRONG = "its proof is wrong"


@dataclass(frozen=True, slots=True)
class Unproven:
    reason: Flaw


@dataclass(frozen=True, slots=True)
class ProofToCheck:
    """Everything but the key. `hashes`: either of them may have been signed. `created_ms` None: it does not say when."""

    key_id: str
    signature: bytes
    hashes: tuple[bytes, ...]
    created_ms: int | None


def add_proof(document: Mapping[str, Any], key_id: str, private_pem: str, at_ms: int) -> dict[str, Any]:
    """The document with a proof that was made at `at_ms`, to the second. Raises NotCanonical."""
    context = _listed(document.get("@context", []))
    if DATA_INTEGRITY not in context:
        context = [*context[:1], DATA_INTEGRITY, *context[1:]]
    bare = {**document, "@context": context}
    proof: dict[str, Any] = {
        "@context": context,
        "type": _KIND,
        "cryptosuite": _SUITE,
        "verificationMethod": key_id,
        "proofPurpose": _PURPOSE,
        # Without a fraction: who reads it as a time and writes it anew (Fedify) arrives at the same text.
        "created": to_iso(at_ms)[:19] + "Z",
    }
    signature = load_ed25519_private(private_pem).sign(_hash(proof) + _hash(bare))
    return {**bare, "proof": {**proof, "proofValue": base58_multibase(signature)}}


def read_proof(document: Mapping[str, Any], now_ms: int) -> ProofToCheck | Unproven | None:
    """The proof of a document of another server; None where there is none, or none that counts.

    A suite that is not known, a key that is no web address, and a proof whose time is over are as good as none; what claims
    to be of our suite and cannot be right is refused.
    """
    proof = _understood(document.get("proof"))
    if proof is None:
        return None
    key_id, value = proof.get("verificationMethod"), proof.get("proofValue")
    if not isinstance(key_id, str) or len(key_id) > 2_000 or not isinstance(value, str):
        return Unproven(Flaw.MALFORMED)
    if not key_id.startswith(("https://", "http://")) or _is_over(proof.get("expires"), now_ms):
        return None
    signature = read_multibase(value)
    if signature is None or len(signature) != 64 or proof.get("proofPurpose") != _PURPOSE:
        return Unproven(Flaw.MALFORMED)
    created = _moment(proof.get("created"))
    if (created is None and "created" in proof) or (created is not None and created > now_ms + FUTURE_MS):
        return Unproven(Flaw.TIME)
    try:
        hashes = _hashes(document, proof)
    except NotCanonical:
        return Unproven(Flaw.MALFORMED)
    return ProofToCheck(key_id, signature, hashes, created) if hashes else Unproven(Flaw.WRONG)


def check_proof(to_check: ProofToCheck, multikey: str) -> bool:
    """Judge with the key."""
    key = load_multikey(multikey)
    return key is not None and any(_is_signed(key, to_check.signature, hashed) for hashed in to_check.hashes)


def _is_signed(key: ed25519.Ed25519PublicKey, signature: bytes, hashed: bytes) -> bool:
    try:
        key.verify(signature, hashed)
    except InvalidSignature:
        return False
    return True


def _understood(proof: Any) -> dict[str, Any] | None:
    """The first that is of our suite. One that builds upon another (a chain) is not understood."""
    for item in _listed(proof)[:MOST_PROOFS]:
        if isinstance(item, dict) and item.get("type") == _KIND and item.get("cryptosuite") == _SUITE:
            return None if "previousProof" in item else item
    return None


def _hashes(document: Mapping[str, Any], proof: Mapping[str, Any]) -> tuple[bytes, ...]:
    """What may have been signed; nothing where the proof is not of this document's context."""
    options = {name: value for name, value in proof.items() if name != "proofValue"}
    # The Linked Data signature is added last, and signs the proof too.
    bare = {name: value for name, value in document.items() if name not in ("proof", "signature")}
    if "@context" in proof:
        context = _listed(proof["@context"])
        if _listed(document.get("@context"))[: len(context)] != context:
            return ()
        return (_hash(options) + _hash({**bare, "@context": proof["@context"]}),)
    told = [options]
    if "@context" in document:
        # Fedify signs the context within the proof, and does not send it there.
        told.insert(0, {**options, "@context": document["@context"]})
    hashed = _hash(bare)
    return tuple(_hash(item) + hashed for item in told)


def _hash(document: Any) -> bytes:
    return hashlib.sha256(canonical(document)).digest()


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _moment(value: Any) -> int | None:
    return from_iso(value.upper()) if isinstance(value, str) and len(value) <= 64 else None


def _is_over(value: Any, now_ms: int) -> bool:
    moment = _moment(value)
    return moment is not None and moment < now_ms
