"""Keys as text: RSA as PEM, Ed25519 as Multikey (FEP-521a). Made, loaded, kept at hand. Other servers' keys are bounded first."""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from fediart.activitypub.signatures.multibase import base58_multibase, read_multibase

SMALLEST, LARGEST = 2048, 4096
"""Bits of an RSA key we accept. Larger ones cost the verifier (RSA-16384: 1.8 ms each)."""

PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey


def generate_rsa_pair() -> tuple[str, str]:
    """(private, public) PEM of a new RSA-2048 key. Takes about 50 ms: not on the event loop."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, public.decode()


_ED25519 = b"\xed\x01"
"""The multicodec of an Ed25519 public key, as a varint."""


def generate_ed25519_pair() -> tuple[str, str]:
    """(private PEM, public Multikey text) of a new Ed25519 key."""
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return private, ed25519_multikey(key.public_key())


def ed25519_multikey(key: ed25519.Ed25519PublicKey) -> str:
    """`publicKeyMultibase` of a key: `z6Mk…`. https://codeberg.org/fediverse/fep/src/branch/main/fep/521a/fep-521a.md"""
    return base58_multibase(_ED25519 + key.public_bytes_raw())


@lru_cache(maxsize=4096)
def load_multikey(text: str) -> ed25519.Ed25519PublicKey | None:
    """A key of another server, or None when it is no Ed25519 key as a Multikey."""
    data = read_multibase(text)
    if data is None or len(data) != 34 or not data.startswith(_ED25519):
        return None
    return ed25519.Ed25519PublicKey.from_public_bytes(data[2:])


@lru_cache(maxsize=256)
def load_ed25519_private(pem: str) -> ed25519.Ed25519PrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), None)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise ValueError("not an Ed25519 key")
    return key


@lru_cache(maxsize=256)
def load_private(pem: str) -> rsa.RSAPrivateKey:
    """Our own key: its primes were checked when it was made; checking them again costs 50 ms."""
    key = serialization.load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("not an RSA key")
    return key


def load_public(text: str) -> PublicKey | None:
    """A key of another server, as PEM or Multikey; None when it is none that we accept."""
    return load_multikey(text) if text.startswith("z") else _load_pem(text)


@lru_cache(maxsize=4096)
def _load_pem(pem: str) -> PublicKey | None:
    if len(pem) > 8_192:
        return None
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm, UnicodeEncodeError):
        return None
    if isinstance(key, rsa.RSAPublicKey):
        return key if SMALLEST <= key.key_size <= LARGEST else None
    return key if isinstance(key, ed25519.Ed25519PublicKey) else None
