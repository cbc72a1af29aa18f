"""RSA keys as PEM: made, loaded, kept at hand. Other servers' keys are bounded before they cost anything."""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

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


@lru_cache(maxsize=256)
def load_private(pem: str) -> rsa.RSAPrivateKey:
    """Our own key: its primes were checked when it was made; checking them again costs 50 ms."""
    key = serialization.load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("not an RSA key")
    return key


@lru_cache(maxsize=4096)
def load_public(pem: str) -> PublicKey | None:
    """A key of another server, or None when it is none that we accept."""
    if len(pem) > 8_192:
        return None
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm, UnicodeEncodeError):
        return None
    if isinstance(key, rsa.RSAPublicKey):
        return key if SMALLEST <= key.key_size <= LARGEST else None
    return key if isinstance(key, ed25519.Ed25519PublicKey) else None
