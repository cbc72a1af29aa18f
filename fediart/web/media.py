"""Files: the public store for anyone who has a name, the originals for their artist only."""

from __future__ import annotations

import asyncio
import stat

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from fediart.domain.images import base_name, is_secret_name
from fediart.errors import Gone, NotFound, SignInNeeded
from fediart.ids import parse_id
from fediart.instance import Instance
from fediart.media.files import MEDIA_TYPES
from fediart.storage import files, images
from fediart.web.api.auth import allows, grant
from fediart.web.reservation import reserve_file
from fediart.web.security import FILE_POLICY, signed_in

IN_ONE_READ = 1 << 20
"""Files up to this size are read in one go: four times cheaper than in chunks."""

NOT_HERE = "There is no such file."


async def media(request: Request) -> Response:
    """A public rendition. Its type is one we wrote ourselves, never what somebody claimed."""
    instance: Instance = request.app.state.instance
    name = request.path_params["name"]
    path = instance.files.path(name)
    is_secret = is_secret_name(name)
    headers = {
        "content-security-policy": FILE_POLICY,
        "cache-control": "private, no-store" if is_secret else "public, max-age=31536000, immutable",
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
    }
    etag = f'"{name.rpartition("/")[2]}"'
    media_type = MEDIA_TYPES[path.suffix.lstrip(".")]
    try:
        found = await asyncio.to_thread(path.lstat)
        if not stat.S_ISREG(found.st_mode):
            raise NotFound(NOT_HERE)  # a link could lead out of the store; none of ours is one
        await reserve_file(request, name)
        if not is_secret:
            headers["etag"] = etag
            if request.headers.get("if-none-match") == etag:
                return Response(status_code=304, headers=headers)
        if found.st_size > IN_ONE_READ:
            return FileResponse(path, media_type=media_type, headers=headers)
        return Response(await asyncio.to_thread(path.read_bytes), headers=headers, media_type=media_type)
    except FileNotFoundError:
        # That there was something under a secret name is nobody's business.
        if not is_secret and await instance.storage.read(files.is_retired, name):
            raise Gone("This file was replaced or withdrawn.") from None
        raise NotFound(NOT_HERE) from None


async def _reader(request: Request) -> int | None:
    """The actor for whom a client program may read. A token that is not valid is nobody's: this route tells no difference."""
    try:
        held = await grant(request)
    except SignInNeeded:
        return None
    return held.actor_id if held is not None and allows(held.scopes, "read") else None


async def original(request: Request) -> Response:
    """What an artist uploaded, to that artist alone; for everybody else it does not exist."""
    instance: Instance = request.app.state.instance
    image_id = parse_id(request.path_params["image_id"])
    account = await signed_in(request)
    actor_id = account.actor_id if account is not None else await _reader(request)
    shown = await instance.storage.read(images.image_of, image_id, actor_id) if image_id and actor_id else None
    if shown is None or shown.image.vault_key is None:
        raise NotFound(NOT_HERE)
    return FileResponse(
        instance.vault.path(shown.image.vault_key),
        media_type=shown.image.original_type or "application/octet-stream",
        filename=base_name(shown.image.original_name) or "original",
        headers={"cache-control": "no-store", "content-security-policy": FILE_POLICY},
    )
