"""Questions about actors, and the changes of their rows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from fediart.domain.actors import Actor, Multikey
from fediart.domain.choices import Choices
from fediart.domain.licences import licensing_from
from fediart.domain.moderation import Standing
from fediart.domain.reservations import reservation_from
from fediart.domain.works import ShownActor, Visibility, WorkState
from fediart.storage import host_rules
from fediart.storage import images as image_rows
from fediart.storage.emojis import emojis_in, those_in
from fediart.storage.tables import accounts, actors, follows, works

PUBLIC_COLUMNS = tuple(actors.c[name] for name in Actor.__dataclass_fields__)
_FIELDS, _STANDING, _ALIASES, _MULTIKEYS = (
    tuple(Actor.__dataclass_fields__).index(name) for name in ("fields", "standing", "also_known_as", "multikeys")
)
_BY_IDS = select(*PUBLIC_COLUMNS).where(actors.c.id.in_(bindparam("ids", expanding=True)))


def actor_of(row: Row[Any]) -> Actor:
    """Of a row of PUBLIC_COLUMNS."""
    values = list(row)
    written = values[_FIELDS]
    values[_FIELDS] = tuple((name, value) for name, value in json.loads(written)) if written != "[]" else ()
    values[_STANDING] = Standing(values[_STANDING])
    values[_ALIASES] = tuple(json.loads(values[_ALIASES])) if values[_ALIASES] != "[]" else ()
    values[_MULTIKEYS] = _read_multikeys(values[_MULTIKEYS])
    return Actor(*values)


def multikeys_text(keys: Iterable[Multikey]) -> str:
    """As they stand in a row."""
    return json.dumps([[key.id, key.key, key.expires_at] for key in keys])


def _read_multikeys(text: str) -> tuple[Multikey, ...]:
    return tuple(Multikey(*item) for item in json.loads(text)) if text != "[]" else ()


def _one(db: Connection, *conditions: Any) -> Actor | None:
    row = db.execute(select(*PUBLIC_COLUMNS).where(*conditions)).first()
    return actor_of(row) if row else None


def actor_by_id(db: Connection, id_: int) -> Actor | None:
    return _one(db, actors.c.id == id_)


_BY_URI = select(*PUBLIC_COLUMNS).where(actors.c.uri == bindparam("uri"))


def actor_by_uri(db: Connection, uri: str) -> Actor | None:
    row = db.execute(_BY_URI, {"uri": uri}).first()
    return actor_of(row) if row else None


def actor_by_key_id(db: Connection, key_id: str) -> Actor | None:
    """Of an Ed25519 key where its id begins with the actor's, as FEP-521a wants it."""
    found = _one(db, actors.c.public_key_id == key_id)
    if found is not None or "#" not in key_id:
        return found
    found = actor_by_uri(db, key_id.split("#")[0])
    return found if found is not None and any(key.id == key_id for key in found.multikeys) else None


def actor_named(db: Connection, username: str, host: str = "") -> Actor | None:
    """`host` '' asks for a local actor. Names are compared without regard to case."""
    return _one(db, func.lower(actors.c.username) == username.lower(), actors.c.host == host)


def is_host_known(db: Connection, host: str) -> bool:
    """Did somebody here meet anyone of this server?"""
    return db.execute(select(actors.c.id).where(actors.c.host == host).limit(1)).first() is not None


def actors_by_uri(db: Connection, uris: Iterable[str]) -> dict[str, Actor]:
    wanted = list(set(uris))
    if not wanted:
        return {}
    rows = db.execute(select(*PUBLIC_COLUMNS).where(actors.c.uri.in_(wanted)))
    return {row.uri: actor_of(row) for row in rows}


def inboxes_everywhere(db: Connection) -> list[str]:
    """One inbox of every other server that was ever met: its shared ones, or somebody's where it has none."""
    hosts: dict[str, set[str]] = {}
    shared = (
        select(actors.c.host, actors.c.shared_inbox).where(actors.c.host != "", actors.c.shared_inbox.is_not(None)).distinct()
    )
    for host, inbox in db.execute(shared):
        hosts.setdefault(host, set()).add(inbox)
    single = select(actors.c.host, func.min(actors.c.inbox)).where(actors.c.host != "").group_by(actors.c.host)
    for host, inbox in db.execute(single):
        hosts.setdefault(host, {inbox})
    return [inbox for host in sorted(hosts) for inbox in sorted(hosts[host])]


def signing_key(db: Connection, actor_id: int) -> tuple[str, str] | None:
    """(key id, private key as PEM) of a local actor."""
    row = db.execute(select(actors.c.public_key_id, actors.c.private_key_pem).where(actors.c.id == actor_id)).first()
    return (row[0], row[1]) if row and row[1] else None


def proof_key(db: Connection, actor_id: int) -> tuple[str, str] | None:
    """(key id, private Ed25519 key as PEM) by which a local actor proves what it said."""
    row = db.execute(select(actors.c.multikeys, actors.c.ed25519_pem).where(actors.c.id == actor_id)).first()
    keys = _read_multikeys(row[0]) if row and row[1] else ()
    return (keys[0].id, row[1]) if row and keys else None


def without_proof_key(db: Connection) -> list[tuple[int, str]]:
    """(id, uri) of local actors from before there were such keys."""
    query = select(actors.c.id, actors.c.uri).where(actors.c.host == "", actors.c.ed25519_pem.is_(None), ~actors.c.gone)
    return [(row[0], row[1]) for row in db.execute(query)]


def put_proof_key(db: Connection, actor_id: int, key: Multikey, private_pem: str) -> None:
    """A first key. One that is there stays."""
    lacking = update(actors).where(actors.c.id == actor_id, actors.c.ed25519_pem.is_(None))
    db.execute(lacking.values(multikeys=multikeys_text([key]), ed25519_pem=private_pem))


def insert_actor(db: Connection, values: dict[str, Any]) -> None:
    db.execute(insert(actors).values(**values))


def change_actor(db: Connection, actor_id: int, **values: Any) -> None:
    db.execute(update(actors).where(actors.c.id == actor_id).values(**values))


def save_remote_actor(db: Connection, new_id: int, values: dict[str, Any]) -> Actor:
    """Insert or refresh a remote actor. Its uri is its identity; a name that moved to another uri moves with it."""
    row = db.execute(select(actors.c.id, actors.c.host).where(actors.c.uri == values["uri"])).first()
    named = (actors.c.host == values["host"], actors.c.username == values["username"], actors.c.uri != values["uri"])
    holder = db.execute(select(actors.c.id).where(*named)).scalar()
    if holder is not None:
        # The host gave the name to somebody else: the older one keeps its works, not the name.
        db.execute(update(actors).where(actors.c.id == holder).values(username=f"{values['username']}#{holder}", gone=True))
    if row is None:
        standing = host_rules.standing_of(db, values["host"])
        db.execute(insert(actors).values(id=new_id, created_at=values["fetched_at"], standing=standing, **values))
    elif row.host != "":
        db.execute(update(actors).where(actors.c.id == row.id).values(**values, gone=False))
    found = actor_by_uri(db, values["uri"])
    assert found is not None  # inserted or updated just above
    return found


_CHOICES = select(
    accounts.c.actor_id,
    accounts.c.reservation,
    accounts.c.licence,
    accounts.c.licence_text,
    accounts.c.tell_cloaked,
    accounts.c.quote_policy,
).where(accounts.c.actor_id.in_(bindparam("ids", expanding=True)))


def choices_of(db: Connection, ids: Iterable[int]) -> dict[int, Choices]:
    """What those of these actors say of their works who have an account here."""
    wanted = list(ids)
    rows = db.execute(_CHOICES, {"ids": wanted}).all() if wanted else []
    return {
        row[0]: Choices(reservation_from(row[1]), licensing_from(row[2], row[3]), tell_cloaked=bool(row[4]), quotes=row[5])
        for row in rows
    }


def shown_actors(db: Connection, ids: Iterable[int]) -> dict[int, ShownActor]:
    """Actors with their pictures, without counts."""
    wanted = list(set(ids))
    if not wanted:
        return {}
    found = [actor_of(row) for row in db.execute(_BY_IDS, {"ids": wanted}).all()]
    picture_ids = [i for actor in found for i in (actor.avatar_image_id, actor.header_image_id) if i is not None]
    pictures = image_rows.shown_images(db, picture_ids)
    choices = choices_of(db, [actor.id for actor in found if actor.is_local])
    known = emojis_in(db, [(actor.host, _words(actor)) for actor in found if not actor.is_local])
    return {
        actor.id: ShownActor(
            actor=actor,
            choices=choices.get(actor.id),
            avatar=pictures.get(actor.avatar_image_id or 0),
            header=pictures.get(actor.header_image_id or 0),
            emojis=those_in(known, actor.host, _words(actor)) if known else (),
        )
        for actor in found
    }


def _words(actor: Actor) -> str:
    return " ".join((actor.name, actor.summary, *(part for pair in actor.fields for part in pair)))


def shown_actor(db: Connection, actor_id: int) -> ShownActor | None:
    """An actor with pictures and counts."""
    shown = shown_actors(db, [actor_id]).get(actor_id)
    if shown is None:
        return None
    accepted = follows.c.state == "accepted"
    followers = db.execute(select(func.count()).where(follows.c.followee_id == actor_id, accepted)).scalar_one()
    following = db.execute(select(func.count()).where(follows.c.follower_id == actor_id, accepted)).scalar_one()
    count, last = db.execute(
        select(func.count(), func.max(works.c.id)).where(
            works.c.actor_id == actor_id,
            works.c.state == WorkState.PUBLISHED,
            works.c.visibility.in_([Visibility.PUBLIC, Visibility.UNLISTED]),
        )
    ).one()
    now = actor_by_uri(db, shown.actor.moved_to) if shown.actor.moved_to is not None else None
    moved = shown_actors(db, [now.id]).get(now.id) if now is not None and not now.gone and not now.is_suspended else None
    return replace(shown, followers=followers, following=following, works=count, last_work_id=last, moved=moved)


def local_counts(db: Connection) -> tuple[int, int]:
    """(local artists, their published works), for NodeInfo. Whom moderators suspended is not here for anyone."""
    people = db.execute(select(func.count()).where(accounts.c.suspended_at.is_(None))).scalar_one()
    shown = db.execute(
        select(func.count())
        .select_from(works.join(actors, works.c.actor_id == actors.c.id))
        .where(actors.c.host == "", works.c.state == WorkState.PUBLISHED, actors.c.standing != Standing.SUSPENDED)
    ).scalar_one()
    return people, shown
