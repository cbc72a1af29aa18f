"""The inbox as most servers write it: an ORM session and a commit for each request. A measure for ours, kept fair.

It verifies with our own functions and keeps every key at hand; it has SQLite, WAL, synchronous=FULL, httptools and
uvloop as we have, and five connections (best of 1, 2, 5 and 15); it inserts before it asks, so that no transaction that
began reading must become a writing one (that fails with "database is locked"). It does no more than is compared: verify,
refuse repeats, one work, its timeline rows.
`python -m benchmarks.rival_inbox --data DIR --port N`; DIR holds `rival.json`: public keys by key id, followers by actor.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import uvicorn
from sqlalchemy import BigInteger, ForeignKey, event, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fediart.activitypub.signatures.verify import Refused, SignatureToCheck, Verified, check_signature, read_signature
from fediart.clock import from_iso
from fediart.ids import new_id


class Base(DeclarativeBase):
    pass


class Actor(Base):
    __tablename__ = "actors"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    uri: Mapped[str] = mapped_column(unique=True)


class Follow(Base):
    __tablename__ = "follows"
    follower_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    followee_id: Mapped[int] = mapped_column(ForeignKey("actors.id"), primary_key=True, index=True)


class Arrival(Base):
    __tablename__ = "arrivals"
    uri: Mapped[str] = mapped_column(primary_key=True)
    received_at: Mapped[int] = mapped_column(BigInteger)


class Work(Base):
    __tablename__ = "works"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    uri: Mapped[str] = mapped_column(unique=True)
    actor_id: Mapped[int] = mapped_column(ForeignKey("actors.id"), index=True)
    content: Mapped[str]
    published_at: Mapped[int] = mapped_column(BigInteger)


class Entry(Base):
    __tablename__ = "timeline"
    actor_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    work_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)


def prepare(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=60000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def create_app(engine: AsyncEngine, keys: dict[str, str], host: str) -> Starlette:
    sessions = async_sessionmaker(engine, expire_on_commit=False)

    async def inbox(request: Request) -> Response:
        body = await request.body()
        now = time.time_ns() // 1_000_000
        read = read_signature("POST", request.url.path, request.headers, body, now, frozenset({host}), "http")
        if isinstance(read, Refused) or read.key_id not in keys:
            return Response(status_code=401)
        if not isinstance(_checked(read, keys[read.key_id]), Verified):
            return Response(status_code=401)
        activity = json.loads(body)
        note = activity["object"]
        if read.key_id.split("#")[0] != activity["actor"] or note["attributedTo"] != activity["actor"]:
            return Response(status_code=401)
        async with sessions() as session:
            try:
                session.add(Arrival(uri=activity["id"], received_at=now))
                await session.flush()
                sender = (await session.scalars(select(Actor).where(Actor.uri == activity["actor"]))).one()
                work_id = new_id(now)
                published = from_iso(note["published"]) or now
                session.add(Work(id=work_id, uri=note["id"], actor_id=sender.id, content=note["content"], published_at=published))
                followers = await session.scalars(select(Follow.follower_id).where(Follow.followee_id == sender.id))
                session.add_all(Entry(actor_id=follower, work_id=work_id) for follower in followers)
                await session.commit()
            except IntegrityError:
                await session.rollback()  # it was here before
        return Response(status_code=202)

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(routes=[Route("/inbox", inbox, methods=["POST"]), Route("/healthz", healthz)])


def _checked(read: SignatureToCheck, pem: str) -> Verified | Refused:
    return check_signature(read, pem)


async def serve(data: Path, port: int) -> None:
    told = json.loads((data / "rival.json").read_text())
    engine = create_async_engine(f"sqlite+aiosqlite:///{data}/rival.sqlite", pool_size=told["pool"], max_overflow=0)
    event.listen(engine.sync_engine, "connect", prepare)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with async_sessionmaker(engine).begin() as session:
        for number, (uri, followers) in enumerate(told["followers"].items(), 1):
            session.add(Actor(id=number, uri=uri))
            await session.flush()
            session.add_all(Follow(follower_id=follower, followee_id=number) for follower in followers)
    app = create_app(engine, told["keys"], f"localhost:{port}")
    config = uvicorn.Config(app, port=port, http="httptools", ws="none", lifespan="off", access_log=False, log_level="warning")
    try:
        await uvicorn.Server(config).serve()
    finally:
        await engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    chosen = parser.parse_args()
    import uvloop

    uvloop.run(serve(chosen.data, chosen.port))


if __name__ == "__main__":
    main()
