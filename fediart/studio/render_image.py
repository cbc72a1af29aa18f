"""From an image's original to renditions in the public store: what cloaking for the first time and again have in common."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from fediart.domain.cloaks import CloakMethod
from fediart.domain.images import Image, Rendition
from fediart.errors import CloakFailed
from fediart.instance import Instance
from fediart.media.cloak.backends import cloak_named
from fediart.media.pipeline import RenderRequest, RenderResult, render
from fediart.storage import accounts


@dataclass(frozen=True, slots=True)
class Made:
    """Files in a folder that will go. `strength` is the one that was asked for."""

    result: RenderResult
    strength: str

    @property
    def method(self) -> CloakMethod | None:
        """As its report says; None: it is not cloaked.

        But for the strength: a picture that could take less than was asked for would not take more the next time.
        """
        report = self.result.report
        return CloakMethod(report.backend, report.version, self.strength) if report is not None else None

    @property
    def facts(self) -> dict[str, Any]:
        """What the image's row says of it."""
        report, method = self.result.report, self.method
        return {
            "width": self.result.width,
            "height": self.result.height,
            "blurhash": self.result.blurhash,
            "cloak_report": msgspec.json.encode(report).decode() if report is not None else None,
            "cloak_method": str(method) if method is not None else None,
        }


def present_method(instance: Instance) -> CloakMethod:
    """By which method a picture would be cloaked now. Raises CloakFailed where the settings name one that is not installed."""
    wanted = instance.config.cloak
    return CloakMethod(wanted.backend, cloak_named(wanted.backend).version, wanted.strength)


@contextlib.asynccontextmanager
async def rendered(
    instance: Instance, image: Image, on_progress: Callable[[float], None], *, patient: bool = False
) -> AsyncIterator[Made]:
    """The image's renditions, cloaked unless its artist said otherwise. Their files go when the block ends.

    Raises BadPicture or CloakFailed in words for the artist. `patient`: with the little that others leave of the processor.
    """
    account = await instance.storage.read(accounts.account_of_actor, image.actor_id)
    if account is None or image.vault_key is None:
        raise CloakFailed("The original of this picture is not here.", detail=f"image {image.id}")
    strength = instance.config.cloak.strength
    with tempfile.TemporaryDirectory(dir=instance.unfinished, prefix="render-") as folder:
        request = RenderRequest(
            original_path=instance.vault.path(image.vault_key),
            purpose=image.purpose.value,
            cloak=image.cloak,
            secret=account.cloak_secret,
            strength=strength,
            backend=instance.config.cloak.backend,
            out_dir=Path(folder),
            patient=patient,
        )
        result = await render(request, on_progress)
        if image.cloak and result.report is None:
            raise CloakFailed("The cloak left no report.", detail=f"image {image.id}")
        yield Made(result, strength)


async def put_files(instance: Instance, image: Image, made: Made) -> list[Rendition]:
    """Into the public store, synced, before any row names them."""
    return await asyncio.to_thread(_put_files, instance, image, made)


def _put_files(instance: Instance, image: Image, made: Made) -> list[Rendition]:
    out = []
    for item in made.result.renditions:
        name = instance.files.put(item.path.read_bytes(), item.path.suffix.lstrip("."), secret=image.secret_names)
        out.append(Rendition(image.id, item.kind, name, item.media_type, item.width, item.height, item.bytes, item.sha256))
    return out
