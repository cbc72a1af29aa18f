"""A trial server gets its real name. Once another server knows one of its addresses that cannot be done any more."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from fediart.activitypub.identifiers import Identifiers
from fediart.config import Config
from fediart.domain.renaming import renamer
from fediart.errors import Conflict
from fediart.outbox.restate import restate_all
from fediart.storage import accounts, actors, renaming, settings
from fediart.storage.engine import database_url, open_storage
from fediart.storage.migrate import migrate


@dataclass(frozen=True, slots=True)
class Renamed:
    """`old` '': there was nothing yet that had a name. `rows`: how many were written anew."""

    old: str
    rows: int


async def address_held(config: Config, data: Path) -> str:
    """The address by which the database knows itself, '' for none yet. Makes or upgrades it. Raises ConfigError."""
    url = database_url(config.storage.database, data)
    await migrate(url)
    storage = open_storage(url)
    try:
        return await storage.read(_address)
    finally:
        await storage.close()


def _address(db: Connection) -> str:
    return settings.setting(db, "address") or next(iter(renaming.instance_actors(db)), "")


async def set_domain(config: Config, data: Path, now: int) -> Renamed:
    """Give the database, which `address_held` has opened before, the address of `config`, in one transaction.

    Nobody may serve it meanwhile. Files of published pictures name their artist's page: they are written anew by the server
    once it runs. Raises Conflict where the server has federated.
    """
    storage = open_storage(database_url(config.storage.database, data))
    try:
        renamed = await storage.write(_rename, Identifiers(config.base_url, config.account_domain), now)
    finally:
        await storage.close()
    if renamed.old:
        # Certificates of the server's own, which name its host. The next signature makes new ones.
        shutil.rmtree(data / "credentials", ignore_errors=True)
    return renamed


def _rename(db: Connection, ids: Identifiers, now: int) -> Renamed:
    old = _address(db)
    if old in ("", ids.base_url):
        return Renamed("", 0)
    met = renaming.met(db)
    if met:
        raise Conflict(
            f"This server is {old} for good: {met}, and they know its works and artists by that address. "
            "For another name start a new server in an empty folder (--data); artists can move there (docs/moving.md)."
        )
    if actors.actor_named(db, ids.instance_username) is not None:
        raise Conflict(f"There is an artist called {ids.instance_username} here, as this name would be. Please choose another.")
    renaming.rename_instance_actor(db, old, ids.instance_username)
    rows = renaming.rewrite(db, renamer(old, ids.base_url, ids.account_domain))
    for actor_id in accounts.actor_ids(db):
        restate_all(db, actor_id, now, unheard=True)
    return Renamed(old, rows)
