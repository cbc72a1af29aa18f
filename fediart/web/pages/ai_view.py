"""What a person wants to see of AI-made works of others, beside what this server does with them in any case."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.policy import Remote, RemoteAction
from fediart.domain.showing import Showing
from fediart.studio.choose_ai_view import choose_ai_view
from fediart.web.pages.forms import instance_of, member, text, trusted_form
from fediart.web.render import render

_DONE = {
    RemoteAction.ALLOW: "is shown like everything else",
    RemoteAction.LABEL: "is shown with a label",
    RemoteAction.COLLAPSE: "is shown with its pictures behind a click",
    RemoteAction.HIDE_PUBLIC: "is in no public list here; those who follow its author see it with a label",
    RemoteAction.FILTER: "is shown only to those who follow its author, with its pictures behind a click",
    RemoteAction.REJECT: "is not kept here",
}


def policy_in_words(remote: Remote) -> list[str]:
    """What the policy does with works of other servers: one sentence for each rule that is there."""
    said = [
        f"A work that its author calls AI-made {_DONE[remote.self_label]}.",
        f"A work with a picture whose file says that it was made with AI {_DONE[remote.declared]}.",
        f"A work that is tagged with one of {len(remote.hashtags)} hashtags, like #{remote.hashtags[0]}, {_DONE[remote.hashtag]}."
        if remote.hashtags
        else "",
        "Some servers and authors have rules of their own." if remote.domains or remote.actors else "",
        "" if remote.followed_override else "Following somebody changes nothing of this.",
    ]
    return [sentence for sentence in said if sentence]


async def ai_view(request: Request) -> Response:
    account = await member(request)
    instance = instance_of(request)
    done = False
    if request.method == "POST":
        async with trusted_form(request) as form:
            chosen = text(form, "wish")
        await choose_ai_view(instance, account, Showing(chosen) if chosen in tuple(Showing) else Showing.PLAIN)
        account, done = await member(request), True
    return await render(
        request, "settings_ai.html", policy=policy_in_words(instance.policy.remote), chosen=account.ai_view, done=done
    )
