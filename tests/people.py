"""People of a test world: each with a client program, and a browser that is signed in by the real form."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx

from fediart.domain.actors import Account
from fediart.instance import Instance
from fediart.storage import accounts
from fediart.studio.open_account import open_account
from fediart.studio.sign_in import grant_token
from fediart.web.app import create_app

PASSWORD = "a password to test with"


@dataclass(slots=True)
class Browser:
    """Keeps cookies, and fills in forms as the page gave them."""

    http: httpx.AsyncClient

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.http.get(path, **more)

    async def form_token(self, page: str) -> str:
        found = re.search(r'name="form_token" value="([0-9a-f]+)"', (await self.http.get(page)).text)
        assert found, f"{page} has no form"
        return found[1]

    async def send(self, path: str, data: dict[str, Any] | None = None, *, page: str = "/search", **more: Any) -> httpx.Response:
        """Post a form with the token that stands on `page`."""
        token = await self.form_token(page)
        return await self.http.post(path, data={"form_token": token, **(data or {})}, **more)

    async def sign_in(self, name: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
        return await self.send("/sign-in", {"username": name, "password": password}, page="/sign-in", **more)

    async def is_signed_in(self) -> bool:
        return (await self.http.get("/notifications")).status_code == 200


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    account: Account
    api: httpx.AsyncClient
    browser: Browser


@dataclass(slots=True)
class People:
    """Opens clients on one instance; all close at the end."""

    instance: Instance
    stack: contextlib.AsyncExitStack
    app: Any

    async def client(self, token: str | None = None, **more: Any) -> httpx.AsyncClient:
        """`client=("203.0.113.9", 5)` among `more` says from where it calls."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=more.pop("client", ("127.0.0.1", 123)))
        headers = {**more.pop("headers", {}), **({"authorization": f"Bearer {token}"} if token else {})}
        return await self.stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url=self.instance.config.base_url, headers=headers, **more)
        )

    async def browser(self, **more: Any) -> Browser:
        return Browser(await self.client(**more))

    async def person(self, name: str, scopes: str = "read write follow") -> Person:
        account = await self.instance.storage.read(accounts.account_named, name)
        if account is None:
            account = await open_account(self.instance, name, PASSWORD)
        api = await self.client(await grant_token(self.instance, name, scopes, "tests"))
        browser = await self.browser()
        assert (await browser.sign_in(name)).status_code == 303
        return Person(name, account, api, browser)


@contextlib.asynccontextmanager
async def people_of(instance: Instance) -> AsyncIterator[People]:
    async with contextlib.AsyncExitStack() as stack:
        yield People(instance, stack, create_app(instance))
