"""Questions about images and their renditions, and the changes of their rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Row, and_, bindparam, delete, func, insert, select, update

from fediart.domain.images import Image, ImageState, Purpose, Rendition, ShownImage
from fediart.storage import files
from fediart.storage.copies import drop_copies
from fediart.storage.tables import actors, images, metadata, renditions

_COLUMNS = tuple(images.c[name] for name in Image.__dataclass_fields__)
_RENDITION = tuple(renditions.c[name] for name in Rendition.__dataclass_fields__)


_STATE, _PURPOSE = (tuple(Image.__dataclass_fields__).index(name) for name in ("state", "purpose"))
_IDS: BindParameter[int] = bindparam("ids", expanding=True)
_OF_WORKS = select(*_COLUMNS).where(images.c.work_id.in_(_IDS)).order_by(images.c.position, images.c.id)
_IMAGES = select(*_COLUMNS).where(images.c.id.in_(_IDS))
_RENDITIONS = select(*_RENDITION).where(renditions.c.image_id.in_(_IDS))


def image_from(row: Row[Any]) -> Image:
    """Of a row of the columns that an Image has, in its order."""
    values = list(row)
    values[_STATE], values[_PURPOSE] = ImageState(values[_STATE]), Purpose(values[_PURPOSE])
    return Image(*values)


def _with_renditions(db: Connection, found: Sequence[Image]) -> list[ShownImage]:
    if not found:
        return []
    of: dict[int, dict[str, Rendition]] = {}
    for row in db.execute(_RENDITIONS, {"ids": [image.id for image in found]}).all():
        of.setdefault(row[0], {})[row[1]] = Rendition(*row)
    none: dict[str, Rendition] = {}
    held = [(image, of.get(image.id, none)) for image in found]
    return [ShownImage(image, made.get("public"), made.get("preview"), made.get("large")) for image, made in held]


def shown_images(db: Connection, ids: Iterable[int]) -> dict[int, ShownImage]:
    wanted = list(set(ids))
    if not wanted:
        return {}
    found = [image_from(row) for row in db.execute(_IMAGES, {"ids": wanted}).all()]
    return {shown.image.id: shown for shown in _with_renditions(db, found)}


def images_of_works(db: Connection, work_ids: Sequence[int]) -> dict[int, list[ShownImage]]:
    """The pictures of works, in their artists' order."""
    if not work_ids:
        return {}
    rows = db.execute(_OF_WORKS, {"ids": list(work_ids)}).all()
    of: dict[int, list[ShownImage]] = {}
    for shown in _with_renditions(db, [image_from(row) for row in rows]):
        of.setdefault(shown.image.work_id or 0, []).append(shown)
    return of


def image_of(db: Connection, image_id: int, owner_actor_id: int) -> ShownImage | None:
    shown = shown_images(db, [image_id]).get(image_id)
    return shown if shown is not None and shown.image.actor_id == owner_actor_id else None


def image_by_id(db: Connection, image_id: int) -> Image | None:
    row = db.execute(select(*_COLUMNS).where(images.c.id == image_id)).first()
    return image_from(row) if row else None


def images_by_id(db: Connection, ids: Sequence[int]) -> dict[int, Image]:
    rows = db.execute(_IMAGES, {"ids": list(ids)}).all() if ids else []
    return {row[0]: image_from(row) for row in rows}


def rendition_named(db: Connection, name: str) -> tuple[Rendition, bool] | None:
    """(rendition, whether its name is a secret) of a file in the public store."""
    row = db.execute(
        select(*_RENDITION, images.c.secret_names)
        .select_from(renditions.join(images, renditions.c.image_id == images.c.id))
        .where(renditions.c.name == name)
        .limit(1)
    ).first()
    return (Rendition(*row[:-1]), bool(row[-1])) if row else None


def name_is_used(db: Connection, name: str) -> bool:
    return db.execute(select(renditions.c.image_id).where(renditions.c.name == name).limit(1)).first() is not None


def names_used(db: Connection, names: Sequence[str]) -> set[str]:
    """Those of these names of public files that a rendition has."""
    found: set[str] = set()
    for start in range(0, len(names), 500):
        some = names[start : start + 500]
        found |= set(db.execute(select(renditions.c.name).where(renditions.c.name.in_(some))).scalars())
    return found


def vault_keys_used(db: Connection, beginnings: Sequence[str]) -> set[str]:
    """The keys in the vault that begin with one of these pairs of letters. Every table that names one calls it `vault_key`."""
    found: set[str] = set()
    for table in metadata.sorted_tables:
        if "vault_key" not in table.c:
            continue
        query = select(table.c.vault_key).where(func.substr(table.c.vault_key, 1, 2).in_(list(beginnings)))
        if "actor_id" in table.c:
            # Pictures of other servers' people have none, and are many.
            query = query.where(table.c.actor_id.in_(select(actors.c.id).where(actors.c.host == "")))
        found |= set(db.execute(query).scalars())
    return found


def insert_image(db: Connection, values: dict[str, Any]) -> None:
    db.execute(insert(images).values(**values))


def change_image(db: Connection, image_id: int, /, **values: Any) -> None:
    db.execute(update(images).where(images.c.id == image_id).values(**values))


def put_renditions(db: Connection, image_id: int, made: Sequence[Rendition]) -> list[str]:
    """Put these renditions in the place of the image's earlier ones; returns file names nobody uses any more."""
    return _replace(db, image_id, renditions.c.image_id == image_id, made)


_NEXT = "next "
"""Before the kind of a rendition that is made and not shown yet. As a rendition's its file is held, and goes with its image."""


def stage_renditions(db: Connection, image_id: int, made: Sequence[Rendition]) -> list[str]:
    """Hold these beside the image's renditions, in the place of any staged before; returns file names nobody uses any more."""
    return _replace(db, image_id, _is_staged(image_id), [replace(item, kind=_NEXT + item.kind) for item in made])


def swap_renditions(db: Connection, image_id: int) -> list[str] | None:
    """What is staged takes the place of what is shown; returns file names nobody uses any more. None: nothing is staged."""
    rows = db.execute(select(*_RENDITION).where(_is_staged(image_id))).all()
    made = [Rendition(*row) for row in rows]
    return put_renditions(db, image_id, [replace(item, kind=item.kind.removeprefix(_NEXT)) for item in made]) if made else None


def restate_renditions(db: Connection, image_id: int, made: Sequence[Rendition]) -> list[str]:
    """As `put_renditions`, but what is staged stays."""
    return _replace(db, image_id, and_(renditions.c.image_id == image_id, ~renditions.c.kind.startswith(_NEXT)), made)


def _is_staged(image_id: int) -> ColumnElement[bool]:
    return and_(renditions.c.image_id == image_id, renditions.c.kind.startswith(_NEXT))


def _replace(db: Connection, image_id: int, which: ColumnElement[bool], made: Sequence[Rendition]) -> list[str]:
    before = set(db.execute(select(renditions.c.name).where(which)).scalars())
    db.execute(delete(renditions).where(which))
    for rendition in made:
        db.execute(insert(renditions).values(**{name: getattr(rendition, name) for name in Rendition.__dataclass_fields__}))
    names = {rendition.name for rendition in made}
    files.revive(db, names)
    return [name for name in before - names if not name_is_used(db, name)]


def failed_portraits(db: Connection, actor_id: int) -> list[Image]:
    """Avatars and headers that could not be prepared, of those that came after the ones that are shown."""
    shown = select(actors.c.avatar_image_id, actors.c.header_image_id).where(actors.c.id == actor_id)
    row = db.execute(shown).first()
    after = dict(zip((Purpose.AVATAR, Purpose.HEADER), row, strict=True)) if row else {}
    wanted = (images.c.actor_id == actor_id, images.c.purpose.in_(list(after)), images.c.state == ImageState.FAILED)
    found = [image_from(row) for row in db.execute(select(*_COLUMNS).where(*wanted).order_by(images.c.id))]
    return [image for image in found if image.id > (after[image.purpose] or 0)]


def unfinished_ids(db: Connection) -> set[int]:
    """Pictures of ours that are not prepared yet: what was begun of them is worth keeping."""
    begun = images.c.state.in_([ImageState.WAITING, ImageState.CLOAKING, ImageState.PAUSED])
    return set(db.execute(select(images.c.id).where(begun, images.c.vault_key.is_not(None))).scalars())


def count_on_work(db: Connection, work_id: int) -> int:
    return db.execute(select(func.count()).where(images.c.work_id == work_id)).scalar_one()


def drop_images(db: Connection, ids: Sequence[int]) -> tuple[list[str], list[str]]:
    """Remove images; returns (public file names, vault keys) that nobody uses any more."""
    if not ids:
        return [], []
    names = set(db.execute(select(renditions.c.name).where(renditions.c.image_id.in_(ids))).scalars())
    keys = [key for key in db.execute(select(images.c.vault_key).where(images.c.id.in_(ids))).scalars() if key]
    keys += drop_copies(db, ids)
    db.execute(delete(renditions).where(renditions.c.image_id.in_(ids)))
    db.execute(delete(images).where(images.c.id.in_(ids)))
    return list(names - names_used(db, list(names))), keys


_CACHED = (Purpose.REMOTE, Purpose.EMOJI)


def remote_cache(db: Connection) -> int:
    """Bytes that cached pictures of other servers take."""
    total = db.execute(
        select(func.coalesce(func.sum(renditions.c.bytes), 0))
        .select_from(renditions.join(images, renditions.c.image_id == images.c.id))
        .where(images.c.purpose.in_(_CACHED))
    ).scalar_one()
    return int(total)


def oldest_cached(db: Connection, limit: int) -> list[int]:
    """Ids of cached remote pictures, those longest unused first."""
    held = select(renditions.c.image_id).where(renditions.c.image_id == images.c.id).exists()
    rows = db.execute(select(images.c.id).where(images.c.purpose.in_(_CACHED), held).order_by(images.c.used_at).limit(limit))
    return list(rows.scalars())


def evict(db: Connection, image_id: int) -> list[str]:
    """Drop a cached remote picture's files, not the picture: `call_back` has it fetched again."""
    names = put_renditions(db, image_id, [])
    change_image(db, image_id, state=ImageState.EVICTED, progress=0)
    return names


def evict_all(db: Connection) -> None:
    """No cached picture of another server has its files any more."""
    remote = select(images.c.id).where(images.c.purpose == Purpose.REMOTE)
    db.execute(delete(renditions).where(renditions.c.image_id.in_(remote)))
    ready = (images.c.purpose == Purpose.REMOTE, images.c.state == ImageState.READY)
    db.execute(update(images).where(*ready).values(state=ImageState.EVICTED, progress=0))


def call_back(db: Connection, image_id: int, now: int) -> bool:
    """An evicted picture waits for its files again. False when it did so already."""
    evicted = (images.c.id == image_id, images.c.state == ImageState.EVICTED)
    return db.execute(update(images).where(*evicted).values(state=ImageState.WAITING, used_at=now)).rowcount == 1


def mark_used(db: Connection, ids: Sequence[int], now: int) -> None:
    db.execute(update(images).where(images.c.id.in_(ids)).values(used_at=now))
