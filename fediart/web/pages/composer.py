"""The composer: one form for words and pictures. Whatever is wrong, what was typed and uploaded stays."""

from __future__ import annotations

import dataclasses

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fediart.domain.actors import Account
from fediart.domain.works import MAX_IMAGES, MAX_TEXT, ShownWork, Visibility, WorkState
from fediart.errors import FediartError, NotFound
from fediart.ids import parse_id
from fediart.storage import shown as shown_rows
from fediart.storage import works
from fediart.studio.add_image import add_image, set_cloak
from fediart.studio.arrange_images import describe_image, order_images, remove_image
from fediart.studio.publish_work import Draft, publish_work, save_draft, start_draft
from fediart.studio.withdraw_work import withdraw_work
from fediart.web.pages.forms import go, instance_of, member, path_id, text, trusted_form
from fediart.web.render import render
from fediart.web.uploads import on_disk


async def start(request: Request) -> Response:
    account = await member(request)
    async with trusted_form(request):
        pass
    return go(f"/compose/{await start_draft(instance_of(request), account)}")


async def _own(request: Request, account: Account, work_id: int) -> ShownWork:
    seen = await instance_of(request).storage.read(shown_rows.work_seen_by, work_id, account.actor_id)
    if seen is None or seen.work.actor_id != account.actor_id:
        raise NotFound("This draft is not there any more. It may have been published: look at your profile.")
    return seen


async def compose(request: Request) -> Response:
    account, work_id = await member(request), path_id(request)
    seen = await _own(request, account, work_id)
    if seen.work.state == WorkState.PUBLISHED:
        return go(f"/works/{work_id}")
    if request.method == "GET":
        return await _page(request, seen, [])
    async with trusted_form(request) as form:
        problems = await _keep(request, account, seen, form)
        action = text(form, "action")
        if action == "discard":
            await withdraw_work(instance_of(request), account, work_id)
            return go("/drafts")
        if action == "publish" and not problems:
            try:
                final = await publish_work(instance_of(request), account, work_id)
                return go(f"/works/{final}")
            except FediartError as problem:
                problems.append(problem.message)
    if problems:
        return await _page(request, await _own(request, account, work_id), problems, 422)
    return go(f"/compose/{work_id}#pictures" if action != "save" else f"/compose/{work_id}")


async def _page(request: Request, seen: ShownWork, problems: list[str], status: int = 200) -> Response:
    waiting = any(item.image.state in ("waiting", "cloaking") for item in seen.images)
    return await render(
        request, "compose.html", status, work=seen, problems=problems, max_text=MAX_TEXT, max_images=MAX_IMAGES, waiting=waiting
    )


async def _keep(request: Request, account: Account, seen: ShownWork, form: FormData) -> list[str]:
    """Save everything the form carries; what cannot be taken is said, the rest is kept."""
    instance, work_id = instance_of(request), seen.work.id
    problems: list[str] = []
    chosen = text(form, "visibility")
    draft = Draft(
        text=text(form, "text").replace("\r\n", "\n"),
        warning=text(form, "warning"),
        sensitive=bool(text(form, "sensitive")),
        visibility=Visibility(chosen) if chosen in tuple(Visibility) else Visibility.PUBLIC,
        in_reply_to_id=seen.work.in_reply_to_id,
        language=seen.work.language,
    )
    try:
        await save_draft(instance, account, work_id, draft)
    except NotFound as problem:
        # What it answers is gone, or not for this artist any more: the words are kept all the same.
        await save_draft(instance, account, work_id, dataclasses.replace(draft, in_reply_to_id=None))
        problems.append(problem.message)
    for item in seen.images:
        await _keep_picture(request, account, item.image.id, form, problems)
    await _arrange(request, account, seen, text(form, "action"))
    for upload in form.getlist("pictures"):
        if not isinstance(upload, UploadFile) or not upload.filename:
            continue
        try:
            async with on_disk(instance, upload) as path:
                await add_image(instance, account, path, upload.filename, work_id=work_id)
        except FediartError as problem:
            problems.append(f"{upload.filename[-80:]}: {problem.message}")
    return problems


async def _keep_picture(request: Request, account: Account, image_id: int, form: FormData, problems: list[str]) -> None:
    try:
        await describe_image(instance_of(request), account, image_id, alt=text(form, f"alt-{image_id}"))
        if f"has-cloak-{image_id}" in form:
            await set_cloak(instance_of(request), account, image_id, bool(text(form, f"cloak-{image_id}")))
    except FediartError as problem:
        problems.append(problem.message)


async def _arrange(request: Request, account: Account, seen: ShownWork, action: str) -> None:
    verb, _, number = action.partition("-")
    ids = [item.image.id for item in seen.images]
    chosen = parse_id(number)
    if chosen not in ids:
        return
    if verb == "remove":
        await remove_image(instance_of(request), account, chosen)
        return
    at = ids.index(chosen)
    to = at + {"up": -1, "down": 1}.get(verb, 0)
    if 0 <= to < len(ids):
        ids[at], ids[to] = ids[to], ids[at]
        await order_images(instance_of(request), account, seen.work.id, ids)


async def progress(request: Request) -> Response:
    """How far a work is: for the page's script, which shows it live."""
    account = await member(request)
    seen = await _own(request, account, path_id(request))
    pictures = [
        {
            "id": str(item.image.id),
            "state": item.image.state,
            "progress": item.image.progress,
            "problem": item.image.problem,
            "preview": f"/media/{item.preview.name}" if item.preview else None,
        }
        for item in seen.images
    ]
    told = dict(zip(("planned", "delivered", "failed"), seen.deliveries, strict=True)) if seen.deliveries else None
    held = {"state": seen.work.state, "problem": seen.work.problem, "pictures": pictures, "deliveries": told}
    return JSONResponse(held, headers={"cache-control": "no-store"})


async def drafts(request: Request) -> Response:
    account = await member(request)
    listed = await instance_of(request).storage.read(works.drafts_of, account.actor_id)
    return await render(request, "drafts.html", works=listed)
