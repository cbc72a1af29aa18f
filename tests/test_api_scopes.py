"""What a client program's token may do: for each address of the client API the one scope that opens it, and no other.

There is no flow by which an app gets a token: its owner makes it in a shell (`fediart account token`, docs/api.md).
"""

from __future__ import annotations

import itertools
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from fediart.errors import BadInput
from fediart.studio.sign_in import SCOPES, grant_token
from fediart.web.api.auth import allows
from fediart.web.api.routes import api_routes
from fediart.web.app import create_app
from tests.addresses import filled, route_table
from tests.people import People, people_of
from tests.world import a_world

PAGE = Path(__file__).resolve().parents[1] / "docs" / "api.md"

OPEN = ""
WANTS: dict[str, list[str]] = {
    OPEN: [
        "GET /api/v1/instance", "GET /api/v2/instance", "GET /api/v1/accounts/lookup", "GET /api/v1/accounts/{id}",
        "GET /api/v1/accounts/{id}/statuses", "GET /api/v1/statuses/{id}", "GET /api/v1/statuses/{id}/quotes",
        "GET /api/v1/statuses/{id}/context", "GET /api/v1/statuses/{id}/favourited_by", "GET /api/v1/statuses/{id}/reblogged_by",
        "GET /api/v1/timelines/public", "GET /api/v1/timelines/tag/{tag}",
    ],
    "read:accounts": [
        "GET /api/v1/announcements", "GET /api/v1/accounts/verify_credentials", "GET /api/v1/accounts/{id}/followers",
        "GET /api/v1/accounts/{id}/following",
    ],
    "read:blocks": ["GET /api/v1/blocks", "GET /api/v1/domain_blocks"],
    "read:filters": ["GET /api/v2/filters", "GET /api/v2/filters/{id}"],
    "read:follows": ["GET /api/v1/accounts/relationships", "GET /api/v1/follow_requests"],
    "read:mutes": ["GET /api/v1/mutes"],
    "read:notifications": ["GET /api/v1/notifications"],
    "read:search": ["GET /api/v2/search"],
    "read:statuses": ["GET /api/v1/timelines/home"],
    "write:accounts": ["POST /api/v1/announcements/{id}/dismiss", "PATCH /api/v1/accounts/update_credentials"],
    "write:blocks": [
        "POST /api/v1/accounts/{id}/block", "POST /api/v1/accounts/{id}/unblock", "POST /api/v1/domain_blocks",
        "DELETE /api/v1/domain_blocks",
    ],
    "write:favourites": ["POST /api/v1/statuses/{id}/favourite", "POST /api/v1/statuses/{id}/unfavourite"],
    "write:filters": ["POST /api/v2/filters", "PUT /api/v2/filters/{id}", "DELETE /api/v2/filters/{id}"],
    "write:follows": [
        "POST /api/v1/accounts/{id}/follow", "POST /api/v1/accounts/{id}/unfollow",
        "POST /api/v1/accounts/{id}/remove_from_followers", "POST /api/v1/follow_requests/{id}/authorize",
        "POST /api/v1/follow_requests/{id}/reject",
    ],
    "write:media": ["POST /api/v1/media", "POST /api/v2/media", "GET /api/v1/media/{id}", "PUT /api/v1/media/{id}"],
    "write:mutes": ["POST /api/v1/accounts/{id}/mute", "POST /api/v1/accounts/{id}/unmute"],
    "write:reports": ["POST /api/v1/reports"],
    "write:statuses": [
        "POST /api/v1/statuses", "DELETE /api/v1/statuses/{id}", "PUT /api/v1/statuses/{id}",
        "PUT /api/v1/statuses/{id}/interaction_policy", "POST /api/v1/statuses/{id}/quotes/{quoting_id}/revoke",
        "POST /api/v1/statuses/{id}/reblog", "POST /api/v1/statuses/{id}/unreblog",
    ],
}  # fmt: skip
"""Scope → what it opens. An address that is not here fails: say what it wants, here and in docs/api.md."""

ALL = [*SCOPES, *(f"{whole}:{part}" for whole, parts in SCOPES.items() for part in parts)]
FILLED = {"id": ("1",), "quoting_id": ("1",), "tag": ("evening",)}


def addresses(routes: list[Route]) -> list[str]:
    return [f"{method} {route.path}" for route in routes for method in sorted((route.methods or set()) - {"HEAD"})]


def opened_by(scope: str) -> set[str]:
    """The scopes that Mastodon's documentation says suffice. https://docs.joinmastodon.org/api/oauth-scopes/"""
    whole, _, part = scope.partition(":")
    return {scope, whole, *(["follow"] if part in ("blocks", "follows", "mutes") else [])}


@pytest.mark.row(45)
def test_each_scope_opens_what_is_documented_and_nothing_else() -> None:
    for held, scope in itertools.product(ALL, [scope for scope in ALL if ":" in scope]):
        assert allows((held,), scope) == (held in opened_by(scope)), (held, scope)
    for strange in ("", "reader", "read:", ":accounts", "write:accounts:x", "READ", "*"):
        assert not any(allows((strange,), scope) for scope in ALL if ":" in scope), strange
    page = PAGE.read_text(encoding="utf-8")
    for scope in WANTS:
        assert f"`{scope}`" in page or scope == OPEN, f"docs/api.md does not tell of {scope}"


@pytest.mark.row(45)
@pytest.mark.anyio
async def test_every_address_of_the_api_wants_its_scope_and_all_others_together_do_not_open_it(tmp_path: Path) -> None:
    assert sorted(addresses(api_routes())) == sorted(itertools.chain(*WANTS.values())), "an address that nobody declared"
    async with a_world(tmp_path, jobs=False) as world, people_of(world.instance) as people:
        table = [address for address in addresses(route_table(create_app(world.instance))) if " /api/" in address]
        assert sorted(table) == sorted(itertools.chain(*WANTS.values())), "the API is where its routes are"
        stranger = await people.client()
        for scope, asked in WANTS.items():
            if scope == OPEN:
                continue
            right = [await _client(people, held) for held in sorted(opened_by(scope))]
            others = await _client(people, " ".join(held for held in ALL if held not in opened_by(scope)))
            for address in asked:
                method, path = address.split(" ")
                url = filled(path, FILLED)[0]
                assert (await stranger.request(method, url)).status_code == 401, address
                refused = await others.request(method, url)
                assert (refused.status_code, refused.json()["error"]) == (403, "This action is outside the authorized scopes")
                for client in right:
                    assert (await client.request(method, url)).status_code not in (401, 403, 500), address
        for scopes in ("admin", "read admin:write", "", "read:everything"):
            with pytest.raises(BadInput, match="Unknown scope"):
                await grant_token(world.instance, "mira", scopes, "tests")


async def _client(people: People, scopes: str) -> httpx.AsyncClient:
    return await people.client(await grant_token(people.instance, "mira", scopes, "tests"))
