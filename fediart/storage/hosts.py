"""What is remembered of other servers."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select, text

from fediart.domain.hosts import Host
from fediart.storage.tables import hosts

MOST = 10_000
"""So many are kept, those that failed last."""

_COLUMNS = tuple(hosts.c[name] for name in Host.__dataclass_fields__)
_NAMES = tuple(Host.__dataclass_fields__)
_PUT = text(
    f"INSERT INTO hosts ({', '.join(_NAMES)}) VALUES ({', '.join(':' + name for name in _NAMES)}) "  # noqa: S608 - our own names
    f"ON CONFLICT (host) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _NAMES[1:])}"
)


def put_host(db: Connection, host: Host) -> None:
    """Keep it as it is now. Of one without trouble or peculiarity nothing is kept."""
    if host.is_plain:
        db.execute(delete(hosts).where(hosts.c.host == host.host))
    else:
        db.execute(_PUT, {name: getattr(host, name) for name in _NAMES})


def all_hosts(db: Connection) -> list[Host]:
    """Those that failed last first, at most MOST."""
    query = select(*_COLUMNS).order_by(hosts.c.failed_at.desc(), hosts.c.host).limit(MOST)
    return [Host(*row) for row in db.execute(query)]


def host_named(db: Connection, name: str) -> Host | None:
    row = db.execute(select(*_COLUMNS).where(hosts.c.host == name)).first()
    return Host(*row) if row else None


def hosts_named(db: Connection, names: list[str]) -> dict[str, Host]:
    return {row.host: Host(*row) for row in db.execute(select(*_COLUMNS).where(hosts.c.host.in_(names)))}


def forget_hosts(db: Connection, before: int) -> None:
    """Those that have not been tried since, whose signatures are nothing special."""
    db.execute(delete(hosts).where(hosts.c.failed_at < before, hosts.c.signature == ""))
