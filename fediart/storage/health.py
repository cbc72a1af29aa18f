"""How a database is, looked at as it lies there: whoever has it open goes on, and nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from fediart.errors import NotFound, Unavailable
from fediart.storage.engine import file_of, look, self_check
from fediart.storage.migrate import version_of
from fediart.storage.tables import actors


@dataclass(frozen=True, slots=True)
class Health:
    """`version`: of its tables. `trouble`: what it says of itself, or why it does not answer; '' for nothing.

    `instance_keys`: address → public key, of the actors that this server has for itself. `bytes`: of its file, 0 for none.
    """

    version: str
    trouble: str
    bytes: int
    instance_keys: dict[str, str]


async def health_of(url: URL) -> Health | None:
    """None where there is no database yet, or one without tables."""
    try:
        found = await look(url, _health)
    except NotFound:
        return None
    except Unavailable as problem:
        return Health("", problem.message, 0, {})
    except SQLAlchemyError as problem:
        return Health("", str(problem).splitlines()[0][:200], 0, {})
    file = file_of(url)
    if found is None or file is None:
        return found
    return Health(found.version, found.trouble, file.stat().st_size, found.instance_keys)


def _health(db: Connection) -> Health | None:
    version = version_of(db)
    if version is None:
        return None
    own = select(actors.c.uri, actors.c.public_key_pem).where(actors.c.host == "", actors.c.kind == "Application")
    trouble = "; ".join(self_check(db))
    keys = {row.uri: row.public_key_pem for row in db.execute(own)} if not trouble else {}
    return Health(version, trouble, 0, keys)
