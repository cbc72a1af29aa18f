"""What a cloak did to a picture, for its artist alone: before, after, the difference, and the figures in plain words."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from fediart.domain.images import ImageState, ShownImage
from fediart.errors import NotFound
from fediart.storage import images
from fediart.storage import shown as shown_rows
from fediart.studio.compare_image import compared_file
from fediart.studio.estimate_cloak import strength_of
from fediart.web.pages.forms import instance_of, member, path_id
from fediart.web.render import render
from fediart.web.security import FILE_POLICY

Lines = list[tuple[str, str]]


async def _own(request: Request) -> ShownImage:
    account = await member(request)
    shown = await instance_of(request).storage.read(images.image_of, path_id(request), account.actor_id)
    if shown is None:
        raise NotFound("There is no such picture.")
    return shown


async def record(request: Request) -> Response:
    """`/pictures/123`: the record of one picture."""
    shown = await _own(request)
    image = shown.image
    report = msgspec.json.decode(image.cloak_report) if image.cloak_report else {}
    work = None
    if image.work_id is not None:
        work = await instance_of(request).storage.read(shown_rows.work_seen_by, image.work_id, image.actor_id)
    return await render(
        request,
        "record.html",
        item=shown,
        work=work,
        is_ready=image.state == ImageState.READY and shown.public is not None and image.vault_key is not None,
        strength=strength_of(instance_of(request), image),
        lines=in_words(report if isinstance(report, dict) else {}),
    )


async def file(request: Request) -> Response:
    """`/pictures/123/original|cloaked|difference`: to the picture's artist, signed in, and kept by no cache."""
    shown = await _own(request)
    kind = request.url.path.rpartition("/")[2]
    path = await compared_file(instance_of(request), shown, kind)
    headers = {"cache-control": "no-store", "content-security-policy": FILE_POLICY}
    return FileResponse(path, media_type="image/jpeg", headers=headers)


def in_words(report: dict[str, Any]) -> Lines:
    """A cloak's report, as (what, what it came to) in plain words. What is not there, or is no figure, is left out."""
    lines: Lines = []
    name = " ".join(str(report[key]) for key in ("backend", "version") if isinstance(report.get(key), str | int))
    if name:
        strength = f", strength “{report['strength']}”" if isinstance(report.get("strength"), str) else ""
        lines.append(("Made by", name + strength))
    encoders = report.get("encoders")
    if isinstance(encoders, list) and encoders:
        lines.append(("Aimed at these encoders", ", ".join(str(each) for each in encoders)))
    for key, label, form in _FIGURES:
        value = _number(report.get(key))
        if value is not None:
            lines.append((label, form.format(value)))
    shifts = report.get("shifts")
    for encoder, moved in shifts.items() if isinstance(shifts, dict) else ():
        if isinstance(moved, dict):
            told = [f"{_number(moved[key]):.2f} {label}" for key, label in _AFTER if _number(moved.get(key)) is not None]
            if told:
                lines.append((f"Moves what {encoder} reads by", ", ".join(told)))
    return lines


_FIGURES = (
    ("flip", "Difference seen from close by (ꟻLIP, 0 is none)", "{:.3f}"),
    ("flip_far", "Seen from twice as far", "{:.3f}"),
    ("worst_patch", "Seen at the worst place", "{:.3f}"),
    ("psnr", "Change against the whole range (PSNR; more is less change)", "{:.1f} dB"),
    ("ssim", "Likeness in structure (SSIM, 1 is the same)", "{:.3f}"),
    ("amplitude", "Largest change where the picture is busy, of 255 levels", "{:.1f}"),
    ("flat_cap", "Largest change where it is flat, of 255 levels", "{:.1f}"),
    ("seconds", "Took", "{:.1f} s"),
    ("cpu_seconds", "Processor time", "{:.1f} s"),
)
_AFTER = (("clean", "as it is"), ("jpeg", "after JPEG"), ("half", "at half its size"))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
