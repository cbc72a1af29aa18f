"""Files that no row names go: what a kill between writing a file and committing its row has left in the stores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from fediart.instance import Instance
from fediart.media.disk import OldFile, discard_old
from fediart.storage import images, settings

log = structlog.get_logger("fediart.office")

KEEP_MS = 24 * 3600 * 1000
"""A file is there before its row. What is younger than this may yet get one."""

PORTION = 20_000
"""So many files are looked at, to the end of their folder; the next time it goes on from there."""

_SWEPT = "swept_to"


async def sweep_files(instance: Instance) -> None:
    """One portion of the originals and of the public files."""
    before = instance.clock() - KEEP_MS
    swept = await instance.storage.read(settings.setting, _SWEPT) or ""
    found, last = await asyncio.to_thread(_portion, instance, swept, before)
    keys = await instance.storage.read(images.vault_keys_used, [folder for store, folder in found if store == "originals"])
    public = [file.name for (store, _), old in found.items() if store == "media" for file in old if file.name is not None]
    used = {"originals": keys, "media": await instance.storage.read(images.names_used, public)}
    for store in used:
        old = [file for (of, _), files in found.items() if of == store for file in files]
        await _sweep(store, old, used[store], before)
    if last != swept:
        await instance.storage.write(settings.put_setting, _SWEPT, last)


_Found = dict[tuple[str, str], list[OldFile]]
"""Old files by store and folder."""


def _portion(instance: Instance, swept: str, before: int) -> tuple[_Found, str]:
    """The old files of the folders that come after `swept`, and where the portion ends."""
    stores: dict[str, Callable[[str, int], tuple[int, list[OldFile]]]] = {
        "media": instance.files.old,
        "originals": instance.vault.old,
    }
    folders = [("media", folder) for folder in instance.files.folders()]
    folders += [("originals", folder) for folder in instance.vault.folders()]
    start = next((at for at, place in enumerate(folders) if "/".join(place) > swept), 0)
    found: _Found = {}
    looked = 0
    for store, folder in folders[start:] + folders[:start]:
        count, found[store, folder] = stores[store](folder, before)
        looked += count
        swept = f"{store}/{folder}"
        if looked >= PORTION:
            break
    return found, swept


async def _sweep(store: str, old: Sequence[OldFile], used: set[str], before: int) -> None:
    named = [file for file in old if file.name is not None]
    orphans = [file for file in named if file.name not in used]
    if len(orphans) > len(named) - len(orphans):
        # A kill leaves a file or two. So many mean another database, or an older one: the files may be all there is.
        log.error("files.unknown", store=store, files=len(orphans), known=len(named) - len(orphans))
        orphans = []
    gone = [*orphans, *(file for file in old if file.name is None)]
    for file in gone:
        await asyncio.to_thread(discard_old, file.path, before)
    if gone:
        log.info("files.swept", store=store, files=len(gone))
