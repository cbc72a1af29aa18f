"""Files of other servers come to disk, bounded; nobody has looked inside them yet."""

from __future__ import annotations

from pathlib import Path

from fediart.errors import BadAnswer, RefusedByRemote, RemoteGone
from fediart.remote.client import Answer, RemoteClient, within
from fediart.remote.fetch import MAX_REDIRECTS, next_url

PICTURE_SECONDS = 60.0
"""For a picture, redirects and all."""

FILE_SECONDS = 600.0
"""For a file of tens of megabytes over a slow line."""


async def download_picture(client: RemoteClient, url: str, path: Path, *, max_bytes: int) -> Answer:
    """Fetch `url` into `path`; the answer's body is empty. Raises RemoteError."""
    answer = await _downloaded(client, url, path, accept="image/*", max_bytes=max_bytes, total_seconds=PICTURE_SECONDS)
    kind = answer.headers.get("content-type", "").split(";")[0].strip().lower()
    if not kind.startswith("image/"):
        raise BadAnswer("The other server sent something that is no picture.", detail=f"{url[:200]}: {kind[:100]}")
    return answer


async def download_file(
    client: RemoteClient, url: str, path: Path, *, max_bytes: int, total_seconds: float = FILE_SECONDS
) -> None:
    """Fetch `url` into `path`, whatever it is: the caller knows its hash. Raises RemoteError."""
    await _downloaded(client, url, path, accept="*/*", max_bytes=max_bytes, total_seconds=total_seconds)


async def _downloaded(client: RemoteClient, url: str, path: Path, *, accept: str, max_bytes: int, total_seconds: float) -> Answer:
    """Every redirect is judged anew. `total_seconds`: for all of it together."""
    sent = {"accept": accept}
    async with within(total_seconds, url):
        for _ in range(MAX_REDIRECTS + 1):
            answer = await client.download(url, path, headers=sent, max_bytes=max_bytes, total_seconds=total_seconds)
            if answer.status in (301, 302, 303, 307, 308):
                url = next_url(url, answer.headers.get("location", ""))
                continue
            if answer.status in (404, 410):
                raise RemoteGone("The other server does not have this file any more.", remote_status=answer.status)
            if answer.status != 200:
                raise RefusedByRemote(f"The other server answered with an error ({answer.status}).", remote_status=answer.status)
            return answer
    raise BadAnswer("The other server redirects too often.", detail=url[:200])
