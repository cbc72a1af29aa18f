"""Copies for elsewhere: asked for on a work's page, and fetched by its artist. For everybody else they do not exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from fediart.domain.actors import Account
from fediart.domain.copies import Copy, CopyState
from fediart.domain.images import ShownImage, base_name
from fediart.errors import NotFound
from fediart.ids import parse_id
from fediart.instance import Instance
from fediart.media.targets import PLATFORMS, SUFFIXES
from fediart.storage import copies as rows
from fediart.storage import images
from fediart.storage import shown as shown_rows
from fediart.studio.copy_image import ask_copy
from fediart.web.pages.forms import go, instance_of, member, path_id, text
from fediart.web.security import FILE_POLICY, signed_in


@dataclass(frozen=True, slots=True)
class Offer:
    """A place for which a picture's artist can have a copy; `copy` is the one that there is, or that is being made."""

    platform: str
    label: str
    copy: Copy | None

    @property
    def words(self) -> str:
        """How it stands with the copy."""
        if self.copy is None:
            return ""
        if self.copy.state == CopyState.READY:
            return f"{self.copy.width} × {self.copy.height}, {self.copy.bytes / 1000:,.0f} kB. It is kept for a day."
        if self.copy.state == CopyState.FAILED:
            return self.copy.problem
        return f"{self.copy.progress * 100:.0f} %" if self.copy.state == CopyState.MAKING else "waiting"


async def offers_for(instance: Instance, shown: Sequence[ShownImage]) -> dict[int, list[Offer]]:
    """By image, for those that are cloaked."""
    cloaked = [item.image for item in shown if item.image.cloak and item.image.cloak_report]
    held = await instance.storage.read(rows.copies_of_images, [image.id for image in cloaked])
    now = instance.clock()
    found: dict[int, list[Offer]] = {}
    for image in cloaked:
        there = {copy.platform: copy for copy in held.get(image.id, []) if copy.serves(image.cloak_report, now)}
        found[image.id] = [Offer(name, platform.label, there.get(name)) for name, platform in PLATFORMS.items()]
    return found


async def ask(request: Request, account: Account, work_id: int, form: FormData) -> Response:
    image_id = parse_id(text(form, "image"))
    if image_id is None:
        raise NotFound("There is no such picture.")
    await ask_copy(instance_of(request), account, work_id, image_id, text(form, "platform"))
    return go(f"/works/{work_id}#copies-{image_id}")


async def progress(request: Request) -> Response:
    """How far the copies of a work are: for the page's script."""
    account, work_id = await member(request), path_id(request)
    instance = instance_of(request)
    seen = await instance.storage.read(shown_rows.work_seen_by, work_id, account.actor_id)
    if seen is None or seen.work.actor_id != account.actor_id:
        raise NotFound("There is nothing here.")
    offers = await offers_for(instance, seen.images)
    told = [
        {"id": str(offer.copy.id), "state": offer.copy.state, "words": offer.words}
        for of_one in offers.values()
        for offer in of_one
        if offer.copy is not None
    ]
    return JSONResponse({"copies": told}, headers={"cache-control": "no-store"})


async def download(request: Request) -> Response:
    """A copy, for the browser in which its artist is signed in."""
    instance, copy_id = instance_of(request), parse_id(request.path_params["id"])
    account = await signed_in(request)
    copy = await instance.storage.read(rows.copy_of, copy_id, account.actor_id) if copy_id and account else None
    image = await instance.storage.read(images.image_by_id, copy.image_id) if copy is not None else None
    if copy is None or image is None or copy.vault_key is None or not copy.serves(image.cloak_report, instance.clock()):
        raise NotFound("There is no such file.")
    stem = PurePath(base_name(image.original_name)).stem or "picture"
    return FileResponse(
        instance.vault.path(copy.vault_key),
        media_type=copy.media_type,
        filename=f"{stem}-{copy.platform}.{SUFFIXES[copy.media_type]}",
        headers={"cache-control": "private, no-store", "content-security-policy": FILE_POLICY},
    )
