"""The look at what machines hear: what arrives is ticked, and what something on the way takes away is not."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from fediart.office.adopt_policy import adopt_policy
from fediart.office.check_signals import check_signals
from fediart.remote.client import Answer
from fediart.storage.tables import accounts
from fediart.web.app import create_app
from fediart.web.pages.admin.signals import from_inside
from tests.people import people_of
from tests.waiting import until
from tests.world import a_world


@pytest.mark.anyio
async def test_every_signal_that_is_on_is_ticked_and_one_that_is_lost_on_the_way_is_not(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world, people_of(world.instance) as people:
        instance = world.instance
        mira = await people.person("mira")
        await instance.storage.write(lambda db: db.execute(update(accounts).values(role="owner")))
        picture = await world.upload()
        posted = await world.client.post("/api/v1/statuses", json={"status": "An evening", "media_ids": [picture["id"]]})
        page = f"/@mira/{posted.json()['id']}"

        async def is_out() -> bool:
            return (await world.stranger.get(page)).status_code == 200

        await until(is_out)
        answer = await mira.browser.send("/admin/policy/check", page="/admin/policy")
        assert answer.status_code == 200
        assert "does not lead back to this server" in answer.text
        told = dict(re.findall(r'<li class="(?:yes|no|off)"><strong>(.*?)</strong> <small>(.*?)</small>', answer.text))
        states = {
            html.unescape(name): state for state, name in re.findall(r'<li class="(\w+)"><strong>(.*?)</strong>', answer.text)
        }
        assert {name: state for name, state in states.items() if state != "yes"} == {"Inside pictures: C2PA": "off"}, told
        assert len(states) == 14

        app = create_app(instance)

        async def through_a_proxy(path: str, headers: Mapping[str, str]) -> Answer:
            """One that knows better."""
            found = await from_inside(app, instance.config.host, path, headers)
            kept = {name: value for name, value in found.headers.items() if name not in ("x-robots-tag", "link", "content-usage")}
            body = b"User-agent: *\nAllow: /\n" if path == "/robots.txt" else found.body.replace(b"DMI-", b"----")
            return Answer(found.status, kept, body, found.url)

        lost = {check.name for check in await check_signals(instance, through_a_proxy) if check.holds is False}
        assert lost == {
            "robots.txt names AI agents",
            "Content-Signal in robots.txt",
            "AIPREF: Content-Usage in headers and robots.txt",
            "RSL: /license.xml, robots.txt and the Link header",
            "X-Robots-Tag on pictures",
            "noarchive, which Bing and Amazon read",
            "Inside pictures: IPTC and PLUS",
        }
        reserve = replace(instance.policy.reserve, tdmrep=False, rsl=False)
        await adopt_policy(instance, replace(instance.policy, reserve=reserve), None)

        async def fetch(path: str, headers: Mapping[str, str]) -> Answer:
            return await from_inside(app, instance.config.host, path, headers)

        states = {check.name: check.holds for check in await check_signals(instance, fetch)}
        assert [states[name] for name in states if name.startswith(("TDMRep", "RSL"))] == [None, None, None]
