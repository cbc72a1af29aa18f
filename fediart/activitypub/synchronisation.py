"""Two servers compare which followers one has of an artist of the other (FEP-8fcf): a header with a digest, and how it is read.

https://codeberg.org/fediverse/fep/src/branch/main/fep/8fcf/fep-8fcf.md
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

HEADER = "collection-synchronization"

_PARTS = re.compile(r'(?:^|,)\s*(collectionId|url|digest)="([^"\\]{1,2000})"')


@dataclass(frozen=True, slots=True)
class Synchronisation:
    """`collection`: the sender's followers; `url`: where those of the receiver's server are listed; `digest`: of these, hex."""

    collection: str
    url: str
    digest: str


def digest_of(uris: Iterable[str]) -> str:
    """The SHA-256 of each address, all XORed; 64 hex digits. An address counts once."""
    found = 0
    for uri in set(uris):
        found ^= int.from_bytes(hashlib.sha256(uri.encode()).digest())
    return f"{found:064x}"


def synchronisation_url(collection: str) -> str:
    """Where each server finds its part of an artist's followers here."""
    return f"{collection}_synchronization"


def build_header(said: Synchronisation) -> str:
    return f'collectionId="{said.collection}", url="{said.url}", digest="{said.digest}"'


def parse_header(text: str) -> Synchronisation | None:
    """None where it cannot be understood: it is then as if it were not there."""
    found = _PARTS.findall(text[:8_192])
    parts = dict(found)
    if len(found) != 3 or len(parts) != 3 or not re.fullmatch(r"[0-9a-fA-F]{64}", parts["digest"]):
        return None
    return Synchronisation(parts["collectionId"], parts["url"], parts["digest"].lower())
