"""Every page that the route table has, with the worst words people type, in a real browser at both widths, light and dark."""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from fediart.cli.demo import free_port
from fediart.domain.actors import Role
from fediart.domain.moderation import HostAction
from fediart.domain.origin import Level
from fediart.domain.policy import Preset
from fediart.media.sample import draw_sample
from fediart.office.admit_people import make_invite
from fediart.office.limit_host import put_host_rule
from fediart.studio.delete_account import delete_account
from fediart.studio.regain_account import make_link
from fediart.web.pages.routes import page_routes
from tests.chromium import chromium
from tests.judged import a_file, a_moderator, adopt, becomes, decide, sent_out, waiting
from tests.people import PASSWORD, people_of
from tests.servers import SETTINGS, start_server
from tests.smtp_sink import a_sink, link_in
from tests.test_browser_main_path import WIDTHS, looker
from tests.world import a_world

LONG_WORD = "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen" * 3
MACHINES_READ = {
    "/static/{name}",
    "/compose/{id}/progress",
    "/pictures/{id}/original",
    "/pictures/{id}/cloaked",
    "/pictures/{id}/difference",
    "/decisions/{id}/files/{file_id}",
    "/works/{id}/copies",
    "/copies/{id}",
    "/admin/hosts.csv",
    "/admin/review/{id}/pictures/{image_id}",
    "/@{name}/feed.atom",
}
"""Addresses that answer GET, and not with a page."""
LEAD_ON = {"/authorize_interaction", "/works/{id}"}
"""They only ever lead to another page."""


@dataclass(frozen=True, slots=True)
class Visit:
    """`route`: as the route table has it. `who`: whose browser; '' a stranger's."""

    route: str
    path: str
    who: str = ""
    called: str = ""
    status: int = 200

    @property
    def name(self) -> str:
        return self.called or (re.sub(r"[^a-z@]+", "-", self.route.strip("/")) or "front")


async def _furnish(folder: Path, port: int) -> list[Visit]:
    """A server on which everything has happened once: mira owns it, noor shows works, sol has nothing, lou has left."""
    async with a_sink() as sink:
        settings: dict[str, Any] = {"server.port": port, "accounts.sign_ups": "approval"}
        mail: dict[str, Any] = {"mail.host": "127.0.0.1", "mail.port": sink.port, "mail.security": "none"}
        async with a_world(folder, **settings, **mail) as world, people_of(world.instance) as people:
            instance = world.instance
            mira = await a_moderator(people, "mira", Role.OWNER)
            noor, sol, lou = [await people.person(name) for name in ("noor", "sol", "lou")]
            words = {"name": f"Noor {LONG_WORD}"[:100], "bio": f"{LONG_WORD} {LONG_WORD}\n\nhttps://noor.example/{LONG_WORD}"}
            fields = {"field-name-0": LONG_WORD[:100], "field-value-0": f"https://shop.example/{LONG_WORD}"}
            put = await noor.browser.send("/settings/profile", {**words, **fields, "locked": "1"}, page="/settings/profile")
            assert put.status_code == 303, put.text
            noors = await sent_out(noor, a_file(None), a_file(None, seed=2), text=f"{LONG_WORD} #oil\n\nTwo evenings. " * 5)
            cloaked = await world.upload(draw_sample(640, 420), description=LONG_WORD * 3)
            status = await world.client.post("/api/v1/statuses", data={"status": "An evening #oil", "media_ids[]": cloaked["id"]})
            miras = int(status.json()["id"])
            for work_id in (noors, miras):
                await becomes(instance, work_id, "published")
            held = await sent_out(noor, a_file(Level.GENERATOR), declaration="digital")
            await becomes(instance, held, "held")
            await sol.browser.send(f"/follow/{noor.account.actor_id}", {"action": "follow"})
            await mira.browser.send(f"/follow/{noor.account.actor_id}", {"action": "follow"})
            await noor.browser.send(f"/works/{miras}/like")
            await noor.browser.send(f"/works/{miras}/boost")
            await noor.browser.send(f"/works/{miras}/reply", {"text": f"@mira {LONG_WORD}", "visibility": "public"})
            await noor.browser.send(f"/works/{noors}/reply", {"text": "and a third to come", "visibility": "public"})
            report = f"/report/{noor.account.actor_id}?work={noors}"
            said = await mira.browser.send(report, {"category": "ai-made", "comment": f"Six fingers. {LONG_WORD}"}, page=report)
            assert said.status_code == 200, said.text
            for action in (
                {"action": "mutehost", "host": "loud.example"},
                {"action": "addfilter", "words": LONG_WORD, "place-home": "1"},
            ):
                await noor.browser.send("/settings/people", action, page="/settings/people")
            await noor.browser.send(f"/people/{lou.account.actor_id}/block")
            draft = (await noor.browser.send("/compose")).headers["location"]
            await noor.browser.send(draft, {"text": LONG_WORD, "action": "save"}, page=draft)
            full = (await noor.browser.send("/compose")).headers["location"]
            upload = [("pictures", (f"{LONG_WORD}.png", a_file(Level.DECLARED)))]
            await noor.browser.send(full, {"text": "x", "action": "add"}, files=upload, page=full)
            copy = {"image": cloaked["id"], "platform": "instagram"}
            await mira.browser.send(f"/works/{miras}/copy", copy, page=f"/@mira/{miras}")
            await put_host_rule(instance, "ai.example", HostAction.BLOCK, account_id=None, reason="Scrapes.", is_public=True)
            invite = await make_invite(instance, uses=3, days=7, note=LONG_WORD[:60], by=mira.account)
            await adopt(instance, Preset.LABEL_ONLY)
            await adopt(instance, Preset.HUMAN_ART)
            asked = {"username": "eve", "password": PASSWORD, "email": "eve@mail.example", "reason": LONG_WORD, "agrees": "1"}
            visitor = await people.browser()
            await visitor.send("/sign-up", asked, page="/sign-up")
            confirm = link_in(await sink.next_to("eve@mail.example"), "/sign-up/confirm")
            await visitor.send("/sign-up/confirm", {"token": confirm.partition("=")[2]}, page=confirm)
            await visitor.send("/sign-up", {**asked, "username": "zoe", "email": "zoe@mail.example"}, page="/sign-up")
            confirm = link_in(await sink.next_to("zoe@mail.example"), "/sign-up/confirm")
            given = {"action": "ask", "email": "noor@mail.example", "password": PASSWORD}
            await noor.browser.send("/settings/email", given, page="/settings/email")
            letter = link_in(await sink.next_to("noor@mail.example"), "/settings/email/confirm")
            reset = await make_link(instance, sol.account)
            await mira.browser.get("/admin/review")
            reviews = await waiting(instance)
            (about_held,) = [review for review in reviews if review.work_id == held]
            (reported,) = [review for review in reviews if review.work_id == noors]
            await decide(mira, about_held.id, "ask", f"Please show the layers. {LONG_WORD}")
            await delete_account(instance, lou.account, "lou", None)
            piece = re.findall(r"/pictures/(\d+)", (await mira.browser.get(f"/@mira/{miras}")).text)[0]
            base = instance.config.base_url
            return [
                Visit("/", "/"),
                Visit("/sign-in", "/sign-in?back=/home"),
                Visit("/sign-up", "/sign-up"),
                Visit("/sign-up", invite.removeprefix(base), called="sign-up-invited"),
                Visit("/sign-up/confirm", confirm),
                Visit("/forgot", "/forgot"),
                Visit("/reset", reset.removeprefix(base)),
                Visit("/setup", "/setup?token=x", status=404),
                Visit("/about", "/about"),
                Visit("/about/cloak", "/about/cloak"),
                Visit("/about/hosts", "/about/hosts"),
                Visit("/ai-policy", "/ai-policy"),
                Visit("/ai-policy/revisions/{number}", "/ai-policy/revisions/2"),
                Visit("/labels/{name}", "/labels/ai-assisted"),
                Visit("/tags/{tag}", "/tags/oil"),
                Visit("/tags/{tag}", "/tags/nothing", called="tag-empty"),
                Visit("/@{name}", "/@noor"),
                Visit("/@{name}", "/@noor", "mira", "profile-seen-by-mira"),
                Visit("/@{name}", "/@noor", "noor", "profile-own"),
                Visit("/@{name}", "/@sol", "sol", "profile-empty"),
                Visit("/@{name}", "/@nobody", called="error-not-here", status=404),
                Visit("/@{name}", "/@lou", called="error-gone", status=410),
                Visit("/@{name}/rights", "/@noor/rights"),
                Visit("/@{name}/{work_id}", f"/@noor/{noors}"),
                Visit("/@{name}/{work_id}", f"/@noor/{noors}", "mira", "work-seen-by-mira"),
                Visit("/@{name}/{work_id}", f"/@mira/{miras}", "mira", "work-own"),
                Visit("/@{name}/{work_id}", f"/@noor/{held}", "noor", "work-held"),
                Visit("/home", "/home", "mira"),
                Visit("/home", "/home", "sol", "home-empty"),
                Visit("/home", "/home", "", "error-sign-in", 401),
                Visit("/notifications", "/notifications", "mira"),
                Visit("/notifications", "/notifications", "sol", "notifications-empty"),
                Visit("/search", "/search", "sol"),
                Visit("/search", f"/search?q={LONG_WORD}", "sol", "search-nobody"),
                Visit("/follow-requests", "/follow-requests", "noor"),
                Visit("/follow-requests", "/follow-requests", "sol", "follow-requests-empty"),
                Visit("/report/{id}", report, "mira"),
                Visit("/share", "/share?text=An%20evening", "sol"),
                Visit("/compose/{id}", draft, "noor"),
                Visit("/compose/{id}", full, "noor", "compose-evidence"),
                Visit("/drafts", "/drafts", "noor"),
                Visit("/drafts", "/drafts", "sol", "drafts-empty"),
                Visit("/pictures/{id}", f"/pictures/{piece}", "mira"),
                Visit("/decisions", "/decisions", "noor"),
                Visit("/decisions", "/decisions", "sol", "decisions-empty"),
                Visit("/decisions/{id}", f"/decisions/{about_held.id}", "noor"),
                Visit("/works/{id}/edit", f"/works/{noors}/edit", "noor"),
                Visit("/settings/profile", "/settings/profile", "noor"),
                Visit("/settings/rights", "/settings/rights", "noor"),
                Visit("/settings/rights/first", "/settings/rights/first", "sol"),
                Visit("/settings/cloak", "/settings/cloak", "noor"),
                Visit("/settings/cloaks", "/settings/cloaks", "mira"),
                Visit("/settings/ai", "/settings/ai", "noor"),
                Visit("/settings/password", "/settings/password", "noor"),
                Visit("/settings/sessions", "/settings/sessions", "noor"),
                Visit("/settings/email", "/settings/email", "noor"),
                Visit("/settings/email/confirm", letter),
                Visit("/settings/space", "/settings/space", "noor"),
                Visit("/settings/moving", "/settings/moving", "noor"),
                Visit("/settings/delete", "/settings/delete", "noor"),
                Visit("/settings/people", "/settings/people", "noor"),
                Visit("/settings/quotes", "/settings/quotes", "noor"),
                Visit("/admin", "/admin", "mira"),
                Visit("/admin/deliveries", "/admin/deliveries", "mira"),
                Visit("/admin/policy", "/admin/policy", "mira"),
                Visit("/admin/review", "/admin/review", "mira"),
                Visit("/admin/review/{id}", f"/admin/review/{reported.id}", "mira"),
                Visit("/admin/people", "/admin/people", "mira"),
                Visit("/admin/sign-ups", "/admin/sign-ups", "mira"),
                Visit("/admin/hosts", "/admin/hosts", "mira"),
                Visit("/admin/server", "/admin/server", "mira"),
                Visit("/admin/peers", "/admin/peers", "mira"),
                Visit("/admin/accounts", "/admin/accounts", "mira"),
                Visit("/admin/audit", "/admin/audit", "mira"),
            ]


def _browsers(browser: Browser, url: str) -> dict[str, BrowserContext]:
    """One for each who visits, signed in by the form."""
    found = {}
    for who in ("", "mira", "noor", "sol"):
        found[who] = browser.new_context(reduced_motion="reduce")
        if who:
            page = found[who].new_page()
            page.goto(url + "/sign-in")
            page.fill("input[name=username]", who)
            page.fill("input[name=password]", PASSWORD)
            page.click("main button")
            page.wait_for_url(re.compile("/home|/settings/rights/first"))
            page.close()
    return found


def test_every_page_can_be_read_by_everyone_whatever_people_typed_into_it(tmp_path: Path) -> None:
    shots = Path(os.environ["FEDIART_SCREENSHOTS"]) if "FEDIART_SCREENSHOTS" in os.environ else None
    port = free_port()
    visits = asyncio.run(_furnish(tmp_path / "data", port))
    pages = {route.path for route in page_routes() if "GET" in (route.methods or ())}
    assert pages - MACHINES_READ - LEAD_ON == {visit.route for visit in visits}, "a page that nobody looks at"
    server = start_server(tmp_path / "data", port, SETTINGS + '[accounts]\nsign_ups = "approval"\n')
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
            contexts = _browsers(browser, server.url)
            wrong: list[str] = []
            for visit in visits:
                page = contexts[visit.who].new_page()
                for name, (width, height) in sorted(WIDTHS.items()):
                    page.set_viewport_size({"width": width, "height": height})
                    page.emulate_media(color_scheme="dark" if name == "desk" else "light")
                    answer = page.goto(server.url + visit.path)
                    if answer is None or answer.status != visit.status:
                        wrong.append(f"{visit.name}: {answer and answer.status}")
                    try:
                        looker(page, shots, name)(visit.name)
                    except AssertionError as problem:
                        wrong.append(str(problem).partition("\nassert")[0])
                page.close()
            browser.close()
            assert not wrong, "\n".join(wrong)
    finally:
        server.stop()
