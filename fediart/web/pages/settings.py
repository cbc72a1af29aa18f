"""An artist's own settings: profile and password."""

from __future__ import annotations

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.images import Purpose
from fediart.errors import BadInput, FediartError
from fediart.storage import actors
from fediart.studio.add_image import put_portrait
from fediart.studio.edit_profile import MAX_FIELDS, edit_profile
from fediart.studio.sign_in import change_password
from fediart.text.compose import typed
from fediart.web.pages.forms import go, instance_of, member, text, trusted_form
from fediart.web.render import asked_to_wait, render
from fediart.web.security import PasswordLimits, session_token
from fediart.web.uploads import on_disk


async def profile(request: Request) -> Response:
    account = await member(request)
    instance = instance_of(request)
    shown = await instance.storage.read(actors.shown_actor, account.actor_id)
    assert shown is not None  # an account always has its actor
    actor = shown.actor
    if request.method == "GET":
        kept = [(name, typed(value)) for name, value in actor.fields]
        return await _profile_page(request, shown, actor.name, actor.summary_source, kept, actor.locked, [])
    problems: list[str] = []
    async with trusted_form(request) as form:
        name, bio = text(form, "name"), text(form, "bio").replace("\r\n", "\n")
        fields = [(text(form, f"field-name-{n}"), text(form, f"field-value-{n}")) for n in range(MAX_FIELDS)]
        locked = bool(text(form, "locked"))
        try:
            await edit_profile(instance, account, name=name, bio=bio, fields=fields, locked=locked)
        except FediartError as problem:
            problems.append(problem.message)
        for purpose in (Purpose.AVATAR, Purpose.HEADER):
            upload = form.get(purpose.value)
            if isinstance(upload, UploadFile) and upload.filename:
                try:
                    async with on_disk(instance, upload) as path:
                        await put_portrait(instance, account, path, upload.filename, purpose)
                except FediartError as problem:
                    problems.append(f"{upload.filename[-80:]}: {problem.message}")
    if problems:
        return await _profile_page(request, shown, name, bio, fields, locked, problems, 422)
    return go(f"/@{actor.username}")


async def _profile_page(
    request: Request,
    shown: object,
    name: str,
    bio: str,
    fields: list[tuple[str, str]],
    locked: bool,
    problems: list[str],
    status: int = 200,
) -> Response:
    padded = [*fields, *[("", "")] * MAX_FIELDS][:MAX_FIELDS]
    return await render(
        request,
        "settings_profile.html",
        status,
        person=shown,
        name=name,
        bio=bio,
        fields=padded,
        locked=locked,
        problems=problems,
    )


async def password(request: Request) -> Response:
    account = await member(request)
    if request.method == "GET":
        return await render(request, "settings_password.html", problem="", done=False)
    limits: PasswordLimits = request.app.state.password_limits
    async with trusted_form(request) as form:
        old, new, again = text(form, "old"), text(form, "new"), text(form, "again")
    try:
        if new != again:
            raise BadInput("The new password was typed in two different ways.")
        limits.take(request, f"the password of {account.id}")
        await change_password(instance_of(request), account, old, new, session=session_token(request))
    except FediartError as problem:
        headers = asked_to_wait(problem)
        return await render(request, "settings_password.html", problem.status, headers, problem=problem.message, done=False)
    return await render(request, "settings_password.html", problem="", done=True)
