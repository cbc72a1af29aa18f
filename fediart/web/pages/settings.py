"""An artist's own settings: profile, password, and the cloaks of their works."""

from __future__ import annotations

import dataclasses

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.actors import Account
from fediart.domain.choices import Choices
from fediart.domain.cloaks import CloakStrength, in_words
from fediart.domain.images import Purpose
from fediart.domain.terms import terms_of_artist
from fediart.errors import BadInput, FediartError
from fediart.instance import Instance
from fediart.outbox.restate import run_of
from fediart.storage import actors, images, redos
from fediart.studio.add_image import put_portrait
from fediart.studio.choose_cloak import choose_defaults
from fediart.studio.choose_rights import choose_rights, was_asked
from fediart.studio.edit_profile import MAX_FIELDS, edit_profile
from fediart.studio.redo_cloaks import look_ahead, start_redo, stop_redo
from fediart.studio.sign_in import change_password
from fediart.text.compose import typed
from fediart.web.pages.forms import account_holder, go, instance_of, member, text, trusted_form
from fediart.web.pages.rights_form import form_for_all, said_licensing, said_reservation, told_to_machines
from fediart.web.refusals import count_refusal
from fediart.web.render import asked_to_wait, render
from fediart.web.security import PasswordLimits, put_session
from fediart.web.uploads import on_disk


async def profile(request: Request) -> Response:
    account = await member(request)
    instance = instance_of(request)
    shown = await instance.storage.read(actors.shown_actor, account.actor_id)
    assert shown is not None  # an account always has its actor
    actor = shown.actor
    if request.method != "POST":
        kept = [(name, typed(value)) for name, value in actor.fields]
        failed = await instance.storage.read(images.failed_portraits, actor.id)
        told = [f"Your new {image.purpose}: {image.problem}" for image in failed[-2:]]
        return await _profile_page(request, shown, actor.name, actor.summary_source, kept, actor.locked, told)
    problems: list[str] = []
    async with trusted_form(request) as form:
        name, bio = text(form, "name"), text(form, "bio").replace("\r\n", "\n")
        fields = [(text(form, f"field-name-{n}"), text(form, f"field-value-{n}")) for n in range(MAX_FIELDS)]
        locked = bool(text(form, "locked"))
        try:
            await edit_profile(instance, account, name=name, bio=bio, fields=fields, locked=locked)
        except FediartError as problem:
            count_refusal(request, problem)
            problems.append(problem.message)
        for purpose in (Purpose.AVATAR, Purpose.HEADER):
            upload = form.get(purpose.value)
            if isinstance(upload, UploadFile) and upload.filename:
                try:
                    async with on_disk(instance, upload) as path:
                        await put_portrait(instance, account, path, upload.filename, purpose)
                except FediartError as problem:
                    count_refusal(request, problem)
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
        with_mail=instance_of(request).config.mail.is_on,
        person=shown,
        name=name,
        bio=bio,
        fields=padded,
        locked=locked,
        problems=problems,
    )


async def cloak(request: Request) -> Response:
    """How new pictures are cloaked. '' means as this server's settings say."""
    account = await member(request)
    instance = instance_of(request)
    done = False
    if request.method == "POST":
        async with trusted_form(request) as form:
            chosen, ask = text(form, "strength"), bool(text(form, "ask"))
        strength = CloakStrength(chosen) if chosen in tuple(CloakStrength) else None
        await choose_defaults(instance, account, strength, ask_if_weak=ask)
        account, done = await member(request), True
    return await render(
        request,
        "settings_cloak.html",
        strengths=list(CloakStrength),
        chosen=account.cloak_strength if account.cloak_default else CloakStrength.NONE.value,
        usual=instance.config.cloak.strength,
        ask=account.ask_if_weak,
        done=done,
    )


async def rights(request: Request) -> Response:
    """What holds for all works that say nothing else: reservation, licence."""
    account = await member(request)
    instance = instance_of(request)
    held = await _choices(instance, account)
    if request.method != "POST":
        return await _rights_page(request, account, held, [])
    async with trusted_form(request) as form:
        chosen = Choices(said_reservation(form), said_licensing(form), bool(text(form, "tell_cloaked")))
    try:
        await choose_rights(instance, account, chosen)
    except FediartError as problem:
        count_refusal(request, problem)
        return await _rights_page(request, account, chosen, [problem.message], status=problem.status)
    return await _rights_page(request, account, await _choices(instance, account), [], done=True)


async def first_rights(request: Request) -> Response:
    """Asked once, where the policy says that each artist is asked."""
    account = await member(request)
    instance = instance_of(request)
    held = await _choices(instance, account)
    if request.method != "POST":
        return await _rights_page(request, account, held, [], first=True)
    async with trusted_form(request) as form:
        is_said = text(form, "action") == "save"
        chosen = said_reservation(form) or instance.policy.reserve.default
    if is_said:
        await choose_rights(instance, account, dataclasses.replace(held, reservation=chosen))
    await was_asked(instance, account)
    return go("/home")


async def _choices(instance: Instance, account: Account) -> Choices:
    found = await instance.storage.read(actors.choices_of, [account.actor_id])
    return found[account.actor_id]


async def _rights_page(
    request: Request,
    account: Account,
    choices: Choices,
    problems: list[str],
    *,
    first: bool = False,
    done: bool = False,
    status: int = 200,
) -> Response:
    instance = instance_of(request)
    terms = terms_of_artist(choices, instance.policy)
    return await render(
        request,
        "settings_rights.html",
        status,
        form=form_for_all(choices, instance.policy),
        tell_cloaked=choices.tell_cloaked,
        told=told_to_machines(terms.reservation, instance.policy, instance.identifiers.base_url, terms.licensing),
        run=await instance.storage.read(run_of, account.actor_id),
        problems=problems,
        first=first,
        done=done,
    )


async def password(request: Request) -> Response:
    account = await account_holder(request)
    if request.method != "POST":
        return await render(request, "settings_password.html", problem="", done="done" in request.query_params)
    limits: PasswordLimits = request.app.state.password_limits
    async with trusted_form(request) as form:
        old, new, again = text(form, "old"), text(form, "new"), text(form, "again")
    try:
        if new != again:
            raise BadInput("The new password was typed in two different ways.")
        limits.take(request, f"the password of {account.id}")
        token = await change_password(instance_of(request), account, old, new, request.headers.get("user-agent", ""))
    except FediartError as problem:
        count_refusal(request, problem)
        headers = asked_to_wait(problem)
        return await render(request, "settings_password.html", problem.status, headers, problem=problem.message, done=False)
    response = go("/settings/password?done=1")
    put_session(response, instance_of(request), token)
    return response


async def cloaks(request: Request) -> Response:
    """How many pictures carry which cloak, and a run that cloaks old ones again."""
    account = await member(request)
    instance = instance_of(request)
    running = await instance.storage.read(redos.running_redo, account.actor_id)
    if request.method == "POST":
        async with trusted_form(request) as form:
            action = text(form, "action")
        if action == "start":
            await start_redo(instance, account.actor_id)
        elif action == "stop" and running is not None and running.actor_id == account.actor_id:
            await stop_redo(instance, running.id)
        return go("/settings/cloaks")
    outlook = await look_ahead(instance, account.actor_id)
    last = await instance.storage.read(redos.last_redo, account.actor_id)
    return await render(
        request,
        "settings_cloaks.html",
        outlook=outlook,
        running=running,
        is_own=running is not None and running.actor_id is not None,
        last=last,
        troubles=await instance.storage.read(redos.troubles, last.id) if last is not None else [],
        lasting=in_words(outlook.seconds) if outlook.seconds is not None else None,
    )
