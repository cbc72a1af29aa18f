"""A picture of another server comes to disk, bounded; nobody has looked inside it yet."""

from __future__ import annotations

from pathlib import Path

from fediart.errors import BadAnswer, RefusedByRemote, RemoteGone
from fediart.remote.client import RemoteClient
from fediart.remote.fetch import MAX_REDIRECTS, next_url


async def download_picture(client: RemoteClient, url: str, path: Path, *, max_bytes: int) -> str:
    """Fetch `url` into `path`; returns its Content-Type. Raises RemoteError."""
    for _ in range(MAX_REDIRECTS + 1):
        answer = await client.download(url, path, headers={"accept": "image/*"}, max_bytes=max_bytes)
        if answer.status in (301, 302, 303, 307, 308):
            url = next_url(url, answer.headers.get("location", ""))
            continue
        if answer.status in (404, 410):
            raise RemoteGone("The other server does not have this picture any more.", remote_status=answer.status)
        if answer.status != 200:
            raise RefusedByRemote(f"The other server answered with an error ({answer.status}).", remote_status=answer.status)
        kind = answer.headers.get("content-type", "").split(";")[0].strip().lower()
        if not kind.startswith("image/"):
            raise BadAnswer("The other server sent something that is no picture.", detail=f"{url[:200]}: {kind[:100]}")
        return kind
    raise BadAnswer("The other server redirects too often.", detail=url[:200])
