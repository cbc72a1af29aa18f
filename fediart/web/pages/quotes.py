"""Quotes, on a page: who may quote one's works, and what quotes them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from fediart.domain.works import QuotePolicy
from fediart.errors import FediartError, NotFound
from fediart.ids import parse_id
from fediart.storage import quotes as rows
from fediart.studio.allow_quotes import allow_quotes, take_back_quote
from fediart.web.pages.forms import go, instance_of, member, text, trusted_form
from fediart.web.refusals import count_refusal
from fediart.web.render import render

PAGE = 50


async def quotes(request: Request) -> Response:
    account, problem = await member(request), ""
    instance = instance_of(request)
    if request.method == "POST":
        async with trusted_form(request) as form:
            action, chosen = text(form, "action"), text(form, "quotes")
        try:
            if action == "policy" and chosen in tuple(QuotePolicy):
                await allow_quotes(instance, account, QuotePolicy(chosen))
                return go("/settings/quotes")
            if not action.startswith("take-back-"):
                raise NotFound("There is nothing here.")
            await take_back_quote(instance, account, parse_id(action.removeprefix("take-back-")) or 0)
            return go("/settings/quotes#quoted")
        except FediartError as refused:
            count_refusal(request, refused)
            problem = refused.message
    max_id = parse_id(request.query_params.get("max_id", ""))
    found = await instance.storage.read(rows.quotes_of_artist, account.actor_id, max_id=max_id, limit=PAGE)
    return await render(
        request,
        "settings_quotes.html",
        422 if problem else 200,
        quotes=found.items,
        older=found.older,
        policy=account.quote_policy or QuotePolicy.NOBODY,
        problem=problem,
    )
