"""Uploads in parts, for the composer's script: the core of tus 1.0 (tus.io/protocols/resumable-upload), creation and termination.

For signed-in browsers only; each request that changes something carries the form's token in `X-Form-Token`.
"""

from __future__ import annotations

import base64
import binascii

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from fediart.domain.actors import Account
from fediart.errors import BadInput, Conflict
from fediart.studio.resume_upload import begin_upload, discard_upload, go_on, upload_held
from fediart.web.pages.forms import instance_of, member, path_id
from fediart.web.refusals import count_refusal
from fediart.web.security import check_form

VERSION = "1.0.0"
BODY_TYPE = "application/offset+octet-stream"
_MOST_NAME = 4_000


async def _sender(request: Request) -> Account:
    account = await member(request)
    check_form(request, request.headers.get("x-form-token", ""))
    return account


def _answer(status: int, **headers: str | int) -> Response:
    told = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    return Response(status_code=status, headers={"tus-resumable": VERSION, "cache-control": "no-store", **told})


def _number(request: Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise BadInput(f"This request must say {name}, a number of bytes.")
    return int(text)


def file_name(metadata: str) -> str:
    """Of `Upload-Metadata`: pairs of a key and its value in base64."""
    for pair in metadata[:_MOST_NAME].split(","):
        key, _, value = pair.strip().partition(" ")
        if key == "filename":
            try:
                return base64.b64decode(value, validate=True).decode("utf-8", "replace").replace("\0", "")
            except (binascii.Error, ValueError):
                return ""
    return ""


async def begin(request: Request) -> Response:
    """POST /compose/{id}/uploads."""
    account = await _sender(request)
    length, name = _number(request, "upload-length"), file_name(request.headers.get("upload-metadata", ""))
    upload = await begin_upload(instance_of(request), account, path_id(request), name, length)
    return _answer(201, location=f"/uploads/{upload.id}", upload_offset=0)


async def one(request: Request) -> Response:
    """HEAD: how far is it? PATCH: here is more. DELETE: it is not wanted."""
    instance, id_ = instance_of(request), request.path_params["id"]
    if request.method in ("HEAD", "GET"):
        upload, size = await upload_held(instance, await member(request), id_)
        return _answer(200, upload_offset=size, upload_length=upload.length)
    account = await _sender(request)
    if request.method == "DELETE":
        await discard_upload(instance, account, id_)
        return _answer(204)
    if request.headers.get("content-type") != BODY_TYPE:
        return _told(415, f"A part of a picture is sent as {BODY_TYPE}.")
    try:
        size, image_id = await go_on(instance, account, id_, _number(request, "upload-offset"), request.stream())
    except Conflict as problem:
        count_refusal(request, problem)
        _, size = await upload_held(instance, account, id_)
        return _told(409, problem.message, {"upload-offset": str(size)})
    except ClientDisconnect:
        return _answer(400)  # nobody hears it; what arrived is kept
    return _answer(204, upload_offset=size, **({"x_image": image_id} if image_id is not None else {}))


def _told(status: int, words: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(
        {"error": words}, status, headers={"tus-resumable": VERSION, "cache-control": "no-store", **(headers or {})}
    )
