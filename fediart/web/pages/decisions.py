"""What the moderators wrote to an artist: read, answered with proof and words, asked about again. Files for their eyes only."""

from __future__ import annotations

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from fediart.domain.actors import Account
from fediart.domain.images import base_name
from fediart.domain.reviews import MAX_PROOF, Review, ReviewState, appeal_problem
from fediart.errors import FediartError, NotFound
from fediart.instance import Instance
from fediart.storage import audit, reviews
from fediart.storage import shown as shown_rows
from fediart.studio.ask_moderator import ask_moderator, own_review, show_proof, tell_moderators
from fediart.web.pages.forms import go, instance_of, member, path_id, text, trusted_form
from fediart.web.refusals import count_refusal
from fediart.web.render import render
from fediart.web.security import FILE_POLICY
from fediart.web.uploads import on_disk


async def listed(request: Request) -> Response:
    """All that was or is before the moderators of the artist who is signed in."""
    account = await member(request)
    found = await instance_of(request).storage.read(reviews.reviews_of, account.actor_id)
    return await render(request, "decisions.html", reviews=found)


async def one(request: Request) -> Response:
    account, review_id = await member(request), path_id(request)
    instance = instance_of(request)
    if request.method != "POST":
        return await _page(request, account, await instance.storage.read(own_review, account, review_id), [])
    problems: list[str] = []
    async with trusted_form(request) as form:
        review = await instance.storage.read(own_review, account, review_id)
        try:
            if text(form, "action") == "ask":
                if review.work_id is None:
                    raise NotFound("The work is not there any more.")
                await ask_moderator(instance, account, review.work_id, text(form, "appeal"))
                return go("/decisions")
            await tell_moderators(instance, account, review_id, text(form, "words").replace("\r\n", "\n"))
            problems = await _show(request, account, review_id, form)
        except FediartError as problem:
            count_refusal(request, problem)
            problems.append(problem.message)
        appeal = text(form, "appeal")
    if problems:
        return await _page(request, account, await instance.storage.read(own_review, account, review_id), problems, appeal)
    return go(f"/decisions/{review_id}")


async def _show(request: Request, account: Account, review_id: int, form: FormData) -> list[str]:
    instance, problems = instance_of(request), []
    for upload in form.getlist("files"):
        if not isinstance(upload, UploadFile) or not upload.filename:
            continue
        try:
            async with on_disk(instance, upload) as path:
                await show_proof(instance, account, review_id, path, upload.filename)
        except FediartError as problem:
            count_refusal(request, problem)
            problems.append(f"{upload.filename[-80:]}: {problem.message}")
    return problems


async def _page(request: Request, account: Account, review: Review, problems: list[str], appeal: str = "") -> Response:
    instance = instance_of(request)
    work = await instance.storage.read(shown_rows.work_seen_by, review.work_id, account.actor_id) if review.work_id else None
    return await render(
        request,
        "decision.html",
        422 if problems else 200,
        review=review,
        work=work,
        proof=await instance.storage.read(reviews.proof_of, review.id),
        most=MAX_PROOF,
        can_ask=work is not None and await _can_ask(instance, review),
        appeal=appeal,
        problems=problems,
    )


async def _can_ask(instance: Instance, review: Review) -> bool:
    if review.state != ReviewState.DECIDED or review.work_id is None:
        return False
    last = await instance.storage.read(reviews.last_against, review.work_id)
    if last is None or last.id != review.id:
        return False
    asked = await instance.storage.read(reviews.was_asked_about, review.work_id, review.id)
    return appeal_problem(review, asked, instance.policy.review, instance.clock()) is None


async def file(request: Request) -> Response:
    """What an artist showed: to her and the moderators, as bytes to keep, never as something to open here."""
    account, review_id, file_id = await member(request), path_id(request), path_id(request, "file_id")
    instance = instance_of(request)
    review = await instance.storage.read(reviews.review_by_id, review_id)
    if review is None or (review.actor_id != account.actor_id and not account.role.may_moderate):
        raise NotFound("There is nothing here.")
    held = next((proof for proof in await instance.storage.read(reviews.proof_of, review_id) if proof.id == file_id), None)
    if held is None:
        raise NotFound("There is nothing here.")
    if review.actor_id != account.actor_id:
        seen = f"file {file_id} of review {review_id}"
        await instance.storage.write(audit.write_down, account.id, "look", seen, held.name, instance.clock())
    return FileResponse(
        instance.vault.path(held.vault_key),
        media_type="application/octet-stream",
        filename=base_name(held.name) or "file",
        headers={"cache-control": "no-store", "content-security-policy": FILE_POLICY, "x-content-type-options": "nosniff"},
    )
