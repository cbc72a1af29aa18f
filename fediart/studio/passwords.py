"""Passwords: argon2id, off the event loop, at most two at a time with a short line behind them.

So a flood of sign-ins takes neither the memory nor the processors: who finds the line full hears TooMany at once.
"""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from fediart.instance import Instance

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP's floor (19 MiB, 2 passes): two at once stay under 40 MiB on a small box."""

_NOBODY = _HASHER.hash("no account has this password")


async def hash_password(instance: Instance, password: str) -> str:
    """Raises TooMany."""
    async with instance.hashing.turn():
        return await asyncio.to_thread(_HASHER.hash, password)


async def password_fits(instance: Instance, stored: str | None, password: str) -> bool:
    """Takes equally long for an unknown account (`stored` None). Raises TooMany."""
    async with instance.hashing.turn():
        return await asyncio.to_thread(_fits, stored, password)


def _fits(stored: str | None, password: str) -> bool:
    try:
        return _HASHER.verify(stored or _NOBODY, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
