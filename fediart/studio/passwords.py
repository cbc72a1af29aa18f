"""Passwords: argon2id, at most two at a time and off the event loop, so that a flood of sign-ins cannot stop the server."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from fediart.instance import Instance

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP's floor (19 MiB, 2 passes): two at once stay under 40 MiB on a small box."""

_NOBODY = _HASHER.hash("no account has this password")


async def hash_password(instance: Instance, password: str) -> str:
    async with instance.hashing:
        return await asyncio.to_thread(_HASHER.hash, password)


async def password_fits(instance: Instance, stored: str | None, password: str) -> bool:
    """Takes equally long for an unknown account (`stored` None)."""
    async with instance.hashing:
        return await asyncio.to_thread(_fits, stored, password)


def _fits(stored: str | None, password: str) -> bool:
    try:
        return _HASHER.verify(stored or _NOBODY, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
