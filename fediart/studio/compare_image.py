"""What a cloak changed, for the picture's own artist: made when it is looked at, thrown away soon after, never public."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from pathlib import Path

from fediart.domain.images import ImageState, ShownImage
from fediart.errors import NotFound
from fediart.instance import Instance
from fediart.media.pipeline import RenderRequest, compare

KINDS = ("original", "cloaked", "difference")


async def compared_file(instance: Instance, shown: ShownImage, kind: str) -> Path:
    """A JPEG: the picture before its cloak, the public copy, or their difference. Raises NotFound, or in words why not."""
    if shown.image.state != ImageState.READY or shown.public is None or shown.image.vault_key is None or kind not in KINDS:
        raise NotFound("This picture is not ready to be looked at.")
    public = instance.files.path(shown.public.name)
    if kind == "cloaked":
        return public
    folder = instance.unfinished / f"compared-{shown.image.vault_key}-{shown.public.sha256[:16]}"
    async with instance.comparing:
        if not folder.exists():
            await _make(instance, shown, public, folder)
    return folder / f"{kind}.jpg"


async def _make(instance: Instance, shown: ShownImage, public: Path, folder: Path) -> None:
    aside = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}")
    aside.mkdir(mode=0o700)
    config = instance.config
    request = RenderRequest(
        original_path=instance.vault.path(shown.image.vault_key or ""),
        purpose=shown.image.purpose.value,
        cloak=False,
        secret=b"",
        strength="",
        backend="",
        out_dir=aside,
        pixels=config.media.upload_pixels,
        memory_mb=config.cloak.memory_mb,
    )
    try:
        await compare(request, public)
        aside.rename(folder)
    finally:
        await asyncio.to_thread(shutil.rmtree, aside, ignore_errors=True)


def forget_comparison(instance: Instance, vault_key: str) -> None:
    """Its picture goes, so this goes with it."""
    for path in instance.unfinished.glob(f"compared-{vault_key}-*"):
        shutil.rmtree(path, ignore_errors=True)
