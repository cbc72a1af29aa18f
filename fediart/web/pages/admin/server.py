"""How the server is: what takes the disk, what waits, which servers were met, and what each account holds."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.cloaks import in_words
from fediart.ids import parse_id
from fediart.office.prune import keep_sightings
from fediart.office.take_stock import Stock, take_stock
from fediart.storage import accounts as account_rows
from fediart.storage import actors, figures
from fediart.storage import deliveries as delivery_rows
from fediart.storage import peers as peer_rows
from fediart.storage.backups import last_backup
from fediart.web.pages.admin.door import admin
from fediart.web.pages.forms import instance_of
from fediart.web.render import render

PAGE = 50
HOSTS = 5
"""Of those whom deliveries wait for, on the first page; all stand under Deliveries."""

KINDS = {
    "originals": "Originals, for their artists alone",
    "public": "Pictures as they are shown",
    "remote": "Copies of other servers' pictures",
    "copies": "Copies for elsewhere",
    "proof": "Shown to moderators",
}
JOBS = {
    "admit": "Accounts being opened",
    "arrival": "What other servers said",
    "backfill": "Older works of others",
    "backup": "Backups",
    "bring_image": "Pictures of other servers",
    "cloak": "Cloaks",
    "copy": "Copies for elsewhere",
    "depart": "Accounts being deleted",
    "host_rules": "Rules for other servers",
    "letter": "Letters",
    "lapse": "What runs out",
    "recloak": "Older works cloaked again",
    "rejudge": "The policy applied to older works",
    "release": "Works going out",
    "restate": "Files written anew",
    "restate_work": "Works told anew",
    "synchronise": "Followers compared",
    "thread": "Conversations of others",
}


def taken(stock: Stock) -> list[tuple[str, int]]:
    """What takes room on the disk, in words; the largest first, the rest of the disk last."""
    named = [(KINDS[kind], size) for kind, size in stock.media.items() if size]
    named += [(words, size) for words, size in (("Database", stock.database), ("Backups", stock.backups)) if size]
    other = stock.room.size - stock.room.free - sum(size for _, size in named)
    return [*sorted(named, key=lambda pair: -pair[1]), *([("Everything else on this disk", other)] if other > 0 else [])]


async def server(request: Request) -> Response:
    await admin(request)
    instance = instance_of(request)
    stock = await take_stock(instance)
    waiting = await instance.storage.read(delivery_rows.waiting_hosts)
    oldest = min((one.oldest_at for one in stock.jobs if one.oldest_at is not None), default=None)
    return await render(
        request,
        "admin/server.html",
        stock=stock,
        taken=taken(stock),
        jobs=[(JOBS.get(one.kind, one.kind.replace("_", " ")), one) for one in stock.jobs],
        oldest=since_in_words(oldest, stock.now),
        since=since_in_words,
        waiting=waiting[:HOSTS],
        more=max(0, len(waiting) - HOSTS),
        accounts=await instance.storage.read(figures.count_accounts),
        last_backup=await instance.storage.read(last_backup),
        backups_by_themselves=bool(instance.config.backup.folder),
        is_low=instance.reserve.is_low(),
        reserve_mb=instance.config.storage.reserve_mb,
    )


def since_in_words(at: int | None, now: int) -> str:
    """`for 3 minutes`; '' for never."""
    return in_words(max(1, (now - at) // 1000)) if at is not None else ""


async def peers(request: Request) -> Response:
    await admin(request)
    storage = instance_of(request).storage
    await keep_sightings(instance_of(request))
    name = request.query_params.get("name", "").strip().lower()[:260]
    failing = request.query_params.get("failing", "") == "1"
    after = request.query_params.get("after", "")[:260]
    before = await storage.read(peer_rows.cursor_of, after) if after else None
    found = await storage.read(peer_rows.listed_peers, name=name, failing=failing, before=before, limit=PAGE)
    more = urlencode({"name": name, "failing": "1" if failing else "", "after": found[-1].name}) if len(found) == PAGE else ""
    counts = await storage.read(peer_rows.count_peers)
    return await render(request, "admin/peers.html", peers=found, counts=counts, name=name, failing=failing, more=more)


async def accounts(request: Request) -> Response:
    await admin(request)
    storage = instance_of(request).storage
    after = parse_id(request.query_params.get("after", ""))
    listed = await storage.read(account_rows.listed_accounts, after=after, limit=PAGE)
    ids = [held.actor_id for held, _ in listed]
    shown = await storage.read(actors.shown_actors, ids)
    holdings = await storage.read(figures.holdings_of, ids)
    return await render(
        request,
        "admin/accounts.html",
        accounts=[(held, shown[held.actor_id], holdings[held.actor_id]) for held, _ in listed if held.actor_id in shown],
        count=await storage.read(figures.count_accounts),
        older=listed[-1][0].id if len(listed) == PAGE else None,
    )
