"""Files that say of themselves how they were made, works with such files, and people who look after the server."""

from __future__ import annotations

import io
import re
from typing import Any

import httpx
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from sqlalchemy import Connection, func, select, update

from fediart.domain.actors import Role
from fediart.domain.images import ImageState
from fediart.domain.origin import Level
from fediart.domain.policy import AiPolicy, Preset, with_preset
from fediart.domain.reviews import Review
from fediart.domain.works import Work
from fediart.instance import Instance
from fediart.media.sample import draw_sample
from fediart.office.adopt_policy import adopt_policy
from fediart.storage import images, reviews, tables, works
from tests.origin_samples import ai_xmp
from tests.people import People, Person
from tests.waiting import until

SETTINGS = "a cat on a sofa\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 12345, Size: 512x512"
ENLARGED = "Postprocess upscale by: 4, Postprocess upscaler: R-ESRGAN 4x+"


def a_file(level: Level | None, seed: int = 1) -> bytes:
    """A small painting whose file says this of its origin."""
    picture = Image.open(io.BytesIO(draw_sample(96, 64, seed)))
    out, info = io.BytesIO(), PngInfo()
    if level == Level.GENERATOR:
        info.add_text("parameters", SETTINGS)
    elif level == Level.HINT:
        info.add_text("postprocessing", ENLARGED)
    kinds = {Level.DECLARED: "trainedAlgorithmicMedia", Level.ASSISTED: "compositeWithTrainedAlgorithmicMedia"}
    if level in kinds:
        info.add_itxt("XML:com.adobe.xmp", ai_xmp(kinds[level]).decode())
    picture.save(out, "PNG", pnginfo=info)
    return out.getvalue()


async def adopt(instance: Instance, preset: Preset, **local: Any) -> AiPolicy:
    from dataclasses import replace

    policy = with_preset(instance.policy, preset)
    return await adopt_policy(instance, replace(policy, local=replace(policy.local, **local)), None)


async def drafted(who: Person, *files: bytes, **fields: str) -> tuple[str, list[int]]:
    """(its composer's path, its pictures), uncloaked: a cloak is not what these tests are about."""
    page = (await who.browser.send("/compose")).headers["location"]
    upload = [("pictures", (f"{n}.png", data)) for n, data in enumerate(files)]
    sent = await who.browser.send(page, {"text": "my words", "action": "add", **fields}, files=upload, page=page)
    assert sent.status_code == 303, sent.text
    ids = [int(number) for number in re.findall(r'data-image="(\d+)"', (await who.browser.get(page)).text)]
    bare = {f"cloak-{image_id}": "none" for image_id in ids}
    await who.browser.send(page, {"text": "my words", "action": "save", **fields, **bare}, page=page)
    return page, ids


async def press(who: Person, page: str, action: str = "publish-anyway", **fields: str) -> httpx.Response:
    return await who.browser.send(page, {"text": "my words", "action": action, **fields}, page=page)


async def sent_out(who: Person, *files: bytes, **fields: str) -> int:
    """The final id of a work that its artist published."""
    page, _ = await drafted(who, *files, **fields)
    sent = await press(who, page, **fields)
    assert sent.status_code == 303, words_of(sent)
    return int(sent.headers["location"].rpartition("/")[2])


def words_of(answer: httpx.Response) -> str:
    """What is to be read on a page, tags away."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


async def work_of(instance: Instance, work_id: int) -> Work:
    found = await instance.storage.read(works.work_by_id, work_id)
    assert found is not None
    return found


async def becomes(instance: Instance, work_id: int, state: str) -> Work:
    async def there() -> Work | None:
        work = await work_of(instance, work_id)
        return work if work.state == state else None

    found: Work = await until(there)
    return found


async def pictures_ready(instance: Instance, ids: list[int]) -> None:
    async def ready() -> bool:
        held = await instance.storage.read(images.images_by_id, ids)
        return all(image.state == ImageState.READY for image in held.values())

    await until(ready)


async def a_moderator(people: People, name: str, role: Role = Role.MODERATOR) -> Person:
    person = await people.person(name)

    def act(db: Connection) -> None:
        db.execute(update(tables.accounts).where(tables.accounts.c.id == person.account.id).values(role=role))

    await people.instance.storage.write(act)
    return await people.person(name)


async def waiting(instance: Instance) -> list[Review]:
    """What waits for the moderators, newest first."""
    found: list[Review] = await instance.storage.read(reviews.open_reviews)
    return found


async def decide(who: Person, review_id: int, verb: str, reason: str = "A reason of ours.", **fields: str) -> httpx.Response:
    page = f"/admin/review/{review_id}"
    return await who.browser.send(page, {"verb": verb, "reason": reason, **fields}, page="/search")


async def said_to_others(instance: Instance) -> tuple[int, int]:
    """(activities, deliveries) that this server ever planned."""

    def count(db: Connection) -> tuple[int, int]:
        tables_ = (tables.activities, tables.deliveries)
        one, two = (db.execute(select(func.count()).select_from(table)).scalar_one() for table in tables_)
        return one, two

    return await instance.storage.read(count)


async def audited(instance: Instance) -> list[tuple[int | None, str, str]]:
    def rows(db: Connection) -> list[tuple[int | None, str, str]]:
        query = select(tables.audit.c.account_id, tables.audit.c.verb, tables.audit.c.detail).order_by(tables.audit.c.id)
        return [(row[0], row[1], row[2]) for row in db.execute(query)]

    return await instance.storage.read(rows)
