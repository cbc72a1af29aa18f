"""The review queue: what was held, reported, or asked, with all that a moderator needs to decide, and the deciding."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from fediart.domain.actors import Account
from fediart.domain.images import ImageState, ShownImage
from fediart.domain.origin import Level, Origin, origin_from
from fediart.domain.reviews import PREFILLED, TARGET_MS, ShownReview, Verb, age_in_words
from fediart.domain.verdicts import DETECTOR
from fediart.domain.works import WorkState
from fediart.errors import FediartError, NotFound
from fediart.ids import parse_id
from fediart.instance import Instance
from fediart.office.decide_review import LABEL_CHOICES, Said, decide_review, may_decide
from fediart.storage import audit, reports, reviews
from fediart.web.pages.admin.door import moderator, waiting_reviews
from fediart.web.pages.forms import go, instance_of, path_id, text, trusted_form
from fediart.web.refusals import count_refusal
from fediart.web.render import render
from fediart.web.security import FILE_POLICY

PAGE = 20


async def queue(request: Request) -> Response:
    """What waits, newest first. What is private is read on its own page, where it is written down who looked."""
    account = await moderator(request)
    instance = instance_of(request)
    counts = await waiting_reviews(instance)
    max_id = parse_id(request.query_params.get("max_id", ""))
    found = await instance.storage.read(reviews.open_reviews, max_id=max_id, limit=PAGE)
    cases = [case for review in found if (case := await instance.storage.read(reviews.review_shown, review.id)) is not None]
    return await render(
        request,
        "admin/reviews.html",
        cases=cases,
        counts=counts,
        private={case.review.id for case in cases if _is_private(case, account)},
        evidence={case.review.id: evidence_of(case) for case in cases},
        ages={case.review.id: instance.clock() - case.review.opened_at for case in cases},
        target=TARGET_MS,
        age_in_words=age_in_words,
        older=found[-1].id if len(found) == PAGE else None,
        overflows=await instance.storage.read(reports.overflows),
    )


async def one(request: Request) -> Response:
    account, review_id = await moderator(request), path_id(request)
    if request.method != "POST":
        case = await instance_of(request).storage.read(reviews.review_shown, review_id)
        if case is not None and case.work is not None and _is_private(case, account):
            await _note_look(instance_of(request), account, f"work {case.work.work.id} in review {review_id}")
        return await _page(request, account, review_id)
    async with trusted_form(request) as form:
        verb = text(form, "verb")
        if verb not in tuple(Verb):
            raise NotFound("There is nothing here.")
        said = Said(Verb(verb), text(form, "reason"), text(form, "note"), text(form, "label") or "ai-generated")
    try:
        await decide_review(instance_of(request), account, review_id, said)
    except NotFound:
        raise
    except FediartError as problem:
        count_refusal(request, problem)
        return await _page(request, account, review_id, problem, said)
    return go("/admin/review" if said.verb != Verb.ASK else f"/admin/review/{review_id}")


async def _page(
    request: Request, account: Account, review_id: int, problem: FediartError | None = None, said: Said | None = None
) -> Response:
    instance = instance_of(request)
    case = await instance.storage.read(reviews.review_shown, review_id)
    if case is None:
        raise NotFound("There is no such review.")
    reasons = {verb: PREFILLED[verb] for verb in Verb}
    if said is not None:
        reasons[said.verb] = said.reason
    return await render(
        request,
        "admin/review.html",
        problem.status if problem is not None else 200,
        case=case,
        evidence=evidence_of(case),
        age=age_in_words(instance.clock() - case.review.opened_at),
        is_late=instance.clock() - case.review.opened_at > TARGET_MS,
        verbs=_verbs(case),
        reasons=reasons,
        note=said.note if said is not None else case.review.note,
        opened=said.verb if said is not None else "",
        labels=LABEL_CHOICES,
        hindrance=await instance.storage.read(may_decide, instance, account, case.review) if case.review.is_open else None,
        problems=[problem.message] if problem is not None else [],
    )


def _verbs(case: ShownReview) -> list[Verb]:
    """What can be done: without a work only clear, and only an artist of ours can be asked."""
    if case.work is None:
        return [Verb.CLEAR]
    is_ours = case.artist.actor.is_local
    return [verb for verb in Verb if is_ours or verb != Verb.ASK]


EVIDENCE_OF = {
    Level.DECLARED: "The file itself says that AI made it",
    Level.GENERATOR: "The file carries settings of a generator",
    Level.ASSISTED: "Parts may be AI",
    Level.HINT: "A hint, which by itself says nothing",
    Level.INFO: "Also in the file",
}


def evidence_of(case: ShownReview) -> dict[int, list[tuple[str, str]]]:
    """Picture → (what kind of sign, the sentence), the strongest first. All of it, also what its artist is not told."""
    if case.work is None:
        return {}
    return {item.image.id: _signs(item) for item in case.work.images}


def _signs(item: ShownImage) -> list[tuple[str, str]]:
    if item.image.origin is None:
        return []
    origin: Origin = origin_from(item.image.origin)
    lines = [
        (f"The detector {signal.source.removeprefix(DETECTOR)} says", signal.evidence)
        if signal.source.startswith(DETECTOR)
        else (EVIDENCE_OF[signal.level], signal.evidence)
        for signal in origin.signals
    ]
    if origin.c2pa not in ("absent", ""):
        lines.append(("Content Credentials", f"{origin.c2pa}."))
    return lines


async def picture(request: Request) -> Response:
    """A work's picture as it goes out, cloaked, for a moderator: of what is private too, so it is written down who looked."""
    account, review_id, image_id = await moderator(request), path_id(request), path_id(request, "image_id")
    instance = instance_of(request)
    case = await instance.storage.read(reviews.review_shown, review_id)
    shown = next((item for item in case.work.images if item.image.id == image_id), None) if case and case.work else None
    if case is None or case.work is None or shown is None or shown.image.state != ImageState.READY:
        raise NotFound("This picture is not ready, or not here.")
    file = shown.preview or shown.public
    if file is None:
        raise NotFound("This picture is not ready, or not here.")
    if _is_private(case, account):
        await _note_look(instance, account, f"picture {image_id} in review {review_id}")
    headers = {"cache-control": "no-store", "content-security-policy": FILE_POLICY}
    return FileResponse(instance.files.path(file.name), media_type=file.media_type, headers=headers)


def _is_private(case: ShownReview, account: Account) -> bool:
    """Is it of a work that not everybody may see, and that is somebody else's?"""
    if case.work is None or case.work.work.actor_id == account.actor_id:
        return False
    work = case.work.work
    return work.state != WorkState.PUBLISHED or not work.visibility.is_open


async def _note_look(instance: Instance, account: Account, subject: str) -> None:
    """Once for each moderator and thing."""
    if not await instance.storage.read(audit.was_written_down, account.id, "look", subject):
        await instance.storage.write(audit.write_down, account.id, "look", subject, "", instance.clock())
