"""Forms and uploads from people: read within bounds, files to disk, never into memory."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from fediart.errors import BadInput, ParseError, TooLarge
from fediart.instance import Instance
from fediart.media.disk import disk_errors

MAX_FIELDS = 200
MAX_FILES = 100
"""More than a work takes: which pictures are too many is told in words, with the others kept."""

MAX_FIELD = 262_144
_CHUNK = 1 << 20


@contextlib.asynccontextmanager
async def reading_form(request: Request, *, files: int = MAX_FILES) -> AsyncIterator[FormData]:
    """The form of a request. Raises BadInput in words for its sender."""
    try:
        with disk_errors():  # a large file of a form lies on disk while it is read
            form = await request.form(max_files=files, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD)
    except HTTPException as problem:
        raise BadInput(f"This form cannot be read: {problem.detail}") from None
    try:
        yield form
    finally:
        await form.close()


async def parameters(request: Request) -> dict[str, str | list[str]]:
    """What a client sent, whether as JSON, as a form, or in the query; names without `[]`, lists where it said so."""
    found: dict[str, str | list[str]] = {}
    for name, value in request.query_params.multi_items():
        _add(found, name, value)
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "application/json":
        try:
            body = msgspec.json.decode(await request.body() or b"{}")
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise ParseError("This is not valid JSON.") from None
        if not isinstance(body, dict):
            raise ParseError("This JSON must be an object.")
        for name, value in body.items():
            if isinstance(value, list):
                found[str(name)] = [_text(item) for item in value[:MAX_FIELDS]]
            elif value is not None:
                found[str(name)] = _text(value)
    elif kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        async with reading_form(request, files=0) as form:
            for name, part in form.multi_items():
                if isinstance(part, str):
                    _add(found, name, part)
    return found


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _add(found: dict[str, str | list[str]], name: str, value: str) -> None:
    if name.endswith("[]"):
        held = found.setdefault(name[:-2], [])
        if isinstance(held, list):
            held.append(value)
    else:
        found[name] = value


def one(given: dict[str, str | list[str]], name: str, default: str = "") -> str:
    value = given.get(name, default)
    return value if isinstance(value, str) else (value[0] if value else default)


def many(given: dict[str, str | list[str]], name: str) -> list[str]:
    value = given.get(name, [])
    return value if isinstance(value, list) else [value]


def truth(text: str) -> bool:
    return text.lower() in ("true", "1", "on", "yes")


@contextlib.asynccontextmanager
async def on_disk(instance: Instance, upload: UploadFile) -> AsyncIterator[Path]:
    """An uploaded file as a path, while the block runs. Raises TooLarge, and Unavailable where the disk takes nothing more."""
    limit = instance.config.media.upload_bytes
    with disk_errors(), tempfile.NamedTemporaryFile(dir=instance.unfinished, prefix="upload-") as file:
        size = 0
        while chunk := await upload.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise TooLarge(
                    f"{upload.filename or 'This file'} is larger than {limit / 1e6:.0f} MB, the most this server takes."
                )
            file.write(chunk)
        file.flush()
        yield Path(file.name)
