"""The composer: one form for words and pictures. Whatever is wrong, what was typed and uploaded stays."""

from __future__ import annotations

import contextlib
import dataclasses

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fediart.domain.actors import Account
from fediart.domain.cloaks import CloakStrength, left_in_words
from fediart.domain.images import Image, ImageState
from fediart.domain.policy import Preset
from fediart.domain.works import MAX_IMAGES, MAX_TEXT, QuotePolicy, ReplyPolicy, ShownWork, Visibility, WorkState
from fediart.errors import FediartError, NotAllowed, NotFound
from fediart.ids import parse_id
from fediart.storage import shown as shown_rows
from fediart.storage import works
from fediart.studio.add_image import add_image
from fediart.studio.arrange_images import describe_image, order_images, remove_image
from fediart.studio.ask_moderator import ask_moderator
from fediart.studio.choose_cloak import accept_weak, set_cloak, try_again
from fediart.studio.choose_rights import choose_for_work
from fediart.studio.estimate_cloak import strength_of, time_left
from fediart.studio.pause_cloak import pause_cloaks, resume_cloaks
from fediart.studio.publish_work import Draft, publish_work, save_draft, start_draft
from fediart.studio.release_work import ASKS_WEAK
from fediart.studio.resume_upload import discard_upload, uploads_held
from fediart.studio.withdraw_work import withdraw_work
from fediart.web.pages.declared import can_ask, choices_of, declared_in, pictures_told
from fediart.web.pages.forms import go, instance_of, member, member_or_sign_in, path_id, text, trusted_form
from fediart.web.pages.rights_form import form_for_work, is_answered, said_licensing, said_reservation
from fediart.web.refusals import count_refusal
from fediart.web.render import render
from fediart.web.uploads import on_disk


async def start(request: Request) -> Response:
    account = await member(request)
    async with trusted_form(request) as form:
        words = text(form, "text").replace("\r\n", "\n")[: 4 * MAX_TEXT]
    return go(f"/compose/{await start_draft(instance_of(request), account, Draft(text=words) if words else None)}")


async def share(request: Request) -> Response:
    """Words that another site would have somebody of ours publish (FEP-3b86). Nothing is made before they say so."""
    came = await member_or_sign_in(request)
    if isinstance(came, Response):
        return came
    parts = [request.query_params.get(name, "").strip() for name in ("title", "text", "url")]
    words = "\n\n".join(dict.fromkeys(part for part in parts if part))
    return await render(request, "share.html", words=words[: 4 * MAX_TEXT])


async def _own(request: Request, account: Account, work_id: int) -> ShownWork:
    seen = await instance_of(request).storage.read(shown_rows.work_seen_by, work_id, account.actor_id)
    if seen is None or seen.work.actor_id != account.actor_id:
        raise NotFound("This draft is not there any more. It may have been published: look at your profile.")
    return seen


async def compose(request: Request) -> Response:
    account, work_id = await member(request), path_id(request)
    seen = await _own(request, account, work_id)
    if seen.work.state in (WorkState.PUBLISHED, WorkState.HELD):
        return go(f"/works/{work_id}")
    if request.method != "POST":
        return await _page(request, seen, [])
    async with trusted_form(request) as form:
        problems = await _keep(request, account, seen, form)
        action = text(form, "action")
        if action == "discard":
            await withdraw_work(instance_of(request), account, work_id)
            return go("/drafts")
        if action == "pause":
            await pause_cloaks(instance_of(request), account, work_id)
        elif action == "go-on":
            await resume_cloaks(instance_of(request), account, work_id)
        elif action == "ask" and not problems:
            try:
                return go(f"/works/{await ask_moderator(instance_of(request), account, work_id, text(form, 'appeal'))}")
            except FediartError as problem:
                count_refusal(request, problem)
                problems.append(problem.message)
        elif not problems and await _is_to_publish(request, account, work_id, action, seen):
            try:
                ask = account.ask_if_weak and action != "publish-anyway"
                final = await publish_work(instance_of(request), account, work_id, ask_if_weak=ask)
                return go(f"/works/{final}")
            except FediartError as problem:
                count_refusal(request, problem)
                problems.append(problem.message)
        appeal = text(form, "appeal")
    if problems:
        return await _page(request, await _own(request, account, work_id), problems, 422, appeal)
    return go(f"/compose/{work_id}#pictures" if action != "save" else f"/compose/{work_id}")


async def _is_to_publish(request: Request, account: Account, work_id: int, action: str, before: ShownWork) -> bool:
    """By its button; or because the last question is answered of a work that was only held back for that."""
    if action in ("publish", "publish-anyway"):
        return True
    if not action.startswith(ANSWERS) or before.work.problem != ASKS_WEAK:
        return False
    return not any(item.image.asks for item in (await _own(request, account, work_id)).images)


ANSWERS = ("keep-", "more-", "bare-")
"""What may be said of a picture that takes only a weak cloak: so be it; a stronger one; none at all."""


def state_in_words(image: Image, left: float | None = None) -> str:
    """Where a picture of the artist's is on its way, in one line. `left`: seconds until it is ready."""
    if image.state == ImageState.READY:
        if not image.cloak:
            return "Ready, not cloaked"
        return "Cloaked, but weakly" if image.is_weak else "Cloaked, ready"
    if image.state == ImageState.FAILED:
        return image.problem
    tail = f", {words}" if (words := left_in_words(left)) else ""
    if image.state == ImageState.WAITING:
        return f"Waiting{tail}"
    done = f"{'Cloaking' if image.cloak else 'Preparing'} {image.progress * 100:.0f} %"
    return f"Paused at {image.progress * 100:.0f} %" if image.state == ImageState.PAUSED else f"{done}{tail}"


async def _states(request: Request, seen: ShownWork) -> dict[int, str]:
    """Picture → its state in words."""
    states = {}
    for item in seen.images:
        is_busy = item.image.state in (ImageState.WAITING, ImageState.CLOAKING)
        left = await time_left(instance_of(request), [item.image.id]) if is_busy else None
        states[item.image.id] = state_in_words(item.image, left)
    return states


async def _page(request: Request, seen: ShownWork, problems: list[str], status: int = 200, appeal: str = "") -> Response:
    told = await pictures_told(instance_of(request), seen)
    return await render(
        request,
        "compose.html",
        status,
        work=seen,
        problems=problems,
        max_text=MAX_TEXT,
        max_images=MAX_IMAGES,
        rights_form=form_for_work(seen.work, seen.author.choices, instance_of(request).policy),
        waiting=any(item.image.state in ("waiting", "cloaking") for item in seen.images),
        paused=any(item.image.state == "paused" for item in seen.images),
        states=await _states(request, seen),
        strengths=list(CloakStrength),
        told=told,
        can_ask=can_ask(told.values(), seen),
        appeal=appeal,
        uploads=await uploads_held(instance_of(request), await member(request), seen.work.id),
        choices=choices_of(instance_of(request).policy),
        is_human_art=instance_of(request).policy.preset == Preset.HUMAN_ART,
        chosen={item.image.id: strength_of(instance_of(request), item.image) for item in seen.images},
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
        declaration=declared_in(text(form, "declaration")) if "declaration" in form else None,
        reply_policy=_reply_policy(form, seen),
        quote_policy=quote_policy_in(form),
    )
    try:
        await save_draft(instance, account, work_id, draft)
    except (NotFound, NotAllowed) as problem:
        count_refusal(request, problem)
        # What it answers is gone, or not for this artist any more: the words are kept all the same.
        await save_draft(instance, account, work_id, dataclasses.replace(draft, in_reply_to_id=None))
        problems.append(problem.message)
    if is_answered(form):
        try:
            await choose_for_work(instance, account, work_id, said_reservation(form), said_licensing(form))
        except FediartError as problem:
            count_refusal(request, problem)
            problems.append(problem.message)
    for item in seen.images:
        await _keep_picture(request, account, item.image, form, problems)
    await _arrange(request, account, seen, text(form, "action"))
    if text(form, "action").startswith("drop-"):
        with contextlib.suppress(NotFound):  # it ended meanwhile
            await discard_upload(instance, account, text(form, "action").removeprefix("drop-"))
    for upload in form.getlist("pictures"):
        if not isinstance(upload, UploadFile) or not upload.filename:
            continue
        try:
            async with on_disk(instance, upload) as path:
                await add_image(instance, account, path, upload.filename, work_id=work_id)
        except FediartError as problem:
            count_refusal(request, problem)
            problems.append(f"{upload.filename[-80:]}: {problem.message}")
    return problems


def quote_policy_in(form: FormData) -> str | None:
    """None where the form says nothing of it; '' as for all works."""
    if "quotes" not in form:
        return None
    chosen = text(form, "quotes")
    return chosen if chosen in tuple(QuotePolicy) else ""


def _reply_policy(form: FormData, seen: ShownWork) -> str:
    """As the form says; where it does not, as it was."""
    if "replies" not in form:
        return seen.work.reply_policy
    chosen = text(form, "replies")
    return chosen if chosen in tuple(ReplyPolicy) else ""


async def _keep_picture(request: Request, account: Account, image: Image, form: FormData, problems: list[str]) -> None:
    instance, action = instance_of(request), text(form, "action")
    try:
        await describe_image(instance, account, image.id, alt=text(form, f"alt-{image.id}"))
        strength = text(form, f"cloak-{image.id}")
        if strength in tuple(CloakStrength):
            await set_cloak(instance, account, image.id, CloakStrength(strength))
        if action == f"keep-{image.id}":
            await accept_weak(instance, account, image.id)
        elif action == f"bare-{image.id}":
            await set_cloak(instance, account, image.id, CloakStrength.NONE)
        elif action == f"more-{image.id}" and (more := strength_of(instance, image).stronger) is not None:
            await set_cloak(instance, account, image.id, more, settled=True)
        elif action == f"again-{image.id}":
            await try_again(instance, account, image.id)
    except FediartError as problem:
        count_refusal(request, problem)
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
    states = await _states(request, seen)
    pictures = [
        {
            "id": str(item.image.id),
            "state": item.image.state,
            "progress": item.image.progress,
            "problem": item.image.problem,
            "preview": f"/media/{item.preview.name}" if item.preview else None,
            "told": states[item.image.id],
        }
        for item in seen.images
    ]
    told = dict(zip(("planned", "delivered", "failed"), seen.deliveries, strict=True)) if seen.deliveries else None
    held = {
        "state": seen.work.state,
        "problem": seen.work.problem,
        "pictures": pictures,
        "deliveries": told,
        "told": await waiting_in_words(request, seen),
    }
    return JSONResponse(held, headers={"cache-control": "no-store"})


async def waiting_in_words(request: Request, seen: ShownWork) -> str:
    """What the page of a waiting work says."""
    undone = [item.image for item in seen.images if item.image.state != ImageState.READY]
    if any(image.state == ImageState.PAUSED for image in undone):
        return "Paused. Nothing of this work goes out before you let it go on."
    share = sum(item.image.progress for item in seen.images) / max(1, len(seen.images))
    left = left_in_words(await time_left(instance_of(request), [image.id for image in undone]))
    return f"Cloaking {share * 100:.0f} %{f', {left}' if left else ''}. The work goes out as soon as its pictures are ready."


async def drafts(request: Request) -> Response:
    account = await member(request)
    listed = await instance_of(request).storage.read(works.drafts_of, account.actor_id)
    return await render(request, "drafts.html", works=listed)
