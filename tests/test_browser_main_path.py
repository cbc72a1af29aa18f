"""A real browser walks the main path as an artist does, at phone and desktop width, and axe-core looks at every page."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from fediart.media.sample import draw_sample
from tests.chromium import chromium
from tests.servers import Server, a_server

AXE = Path(__file__).parent / "peer" / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = {"phone": (390, 844), "desk": (1440, 900)}


def _setup_link(server: Server) -> str:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        found = re.search(r"http://localhost:\d+/setup\?token=\S+", server.log)
        if found:
            return found[0]
        time.sleep(0.05)
    raise AssertionError("no setup link was printed")


def looker(page: Page, folder: Path | None, name: str) -> Callable[[str], None]:
    """Take a picture of the page, where there is a folder for it, and let axe-core judge it."""

    def look(what: str) -> None:
        if folder is not None:
            page.screenshot(path=str(folder / f"{what}-{name}.png"), full_page=True)
        # Evaluated over the debugger, which our own content security policy does not (and should not) allow to the page.
        page.evaluate(AXE.read_text() + "\n;null")
        found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        bad = [
            (v["id"], [n["html"][:160] for n in v["nodes"]])
            for v in found["violations"]
            if v["impact"] in ("serious", "critical")
        ]
        assert bad == [], f"{what} at {name} width"
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{what} at {name} width is {overflow} pixels too wide"

    return look


@pytest.mark.parametrize("name", sorted(WIDTHS))
def test_an_artist_sets_up_signs_in_uploads_and_sees_the_portfolio(name: str, tmp_path: Path) -> None:
    shots = Path(os.environ.get("FEDIART_SCREENSHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    picture = tmp_path / "evening.jpg"
    picture.write_bytes(draw_sample(1200, 900))
    second = tmp_path / "morning.jpg"
    second.write_bytes(draw_sample(900, 1200, seed=3))
    width, height = WIDTHS[name]
    with a_server(tmp_path / "data") as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height})
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        look = looker(page, shots, name)
        page.goto(server.url)
        look("front-new")
        page.goto(_setup_link(server))
        look("setup")
        page.fill("input[name=username]", "mira")
        page.fill("input[name=password]", "a brush and some paint")
        page.click("text=Make the account")
        page.wait_for_url("**/settings/profile")
        page.fill("input[name=name]", "Mira Sol")
        page.fill("textarea[name=bio]", "Evenings in oil and pixels. https://mira.example")
        page.fill("input[name=field-name-0]", "Medium")
        page.fill("input[name=field-value-0]", "Oil, gouache")
        page.set_input_files("input[name=avatar]", str(second))
        look("settings")
        page.click("text=Save")
        page.wait_for_url("**/@mira")
        page.goto(server.url + "/settings/profile")
        page.click("text=Sign out")
        page.goto(server.url + "/sign-in")
        look("sign-in")
        page.fill("input[name=username]", "mira")
        page.fill("input[name=password]", "not the password")
        page.click("main button")
        assert "do not fit together" in page.inner_text("main")
        page.fill("input[name=password]", "a brush and some paint")
        page.click("main button")
        page.wait_for_url("**/home")
        look("home-empty")
        page.click("text=New work")
        page.wait_for_url("**/compose/*")
        page.fill("textarea[name=text]", "Two evenings #oil\n\nThe second one is a morning.")
        page.set_input_files("input[name=pictures]", [str(picture), str(second)])
        page.wait_for_selector("[data-image] >> nth=1")
        assert page.input_value("textarea[name=text]").startswith("Two evenings"), "the words survive an upload"
        page.wait_for_selector("[data-state].ready >> nth=1", timeout=120_000)
        page.fill("[data-image] textarea >> nth=0", "A low sun over water")
        look("compose")
        page.click("text=Publish")
        page.wait_for_url(re.compile(r"/@mira/\d+"))
        page.wait_for_selector("text=Cloaked on this server")
        look("work")
        assert page.locator(".pictures img").count() == 2
        page.click("details.report summary >> nth=0")
        page.click(".copies button:has-text('Instagram') >> nth=0")
        page.wait_for_selector(".copies a:has-text('Instagram')")  # it comes by itself, without loading the page again
        look("copies")
        with page.expect_download() as download:
            page.click(".copies a:has-text('Instagram')")
        assert download.value.suggested_filename == "evening-instagram.jpg"
        page.click(".deeds button:has-text('Like')")
        page.wait_for_selector("button[aria-pressed=true]")
        page.fill("#talk textarea", "The first reply, from myself.")
        page.click("#talk button:has-text('Reply')")
        page.wait_for_selector("text=The first reply")
        page.goto(server.url + "/@mira")
        page.wait_for_selector(".wall img")
        look("portfolio")
        page.goto(server.url + "/home")
        look("home")
        stranger = browser.new_page(viewport={"width": width, "height": height})
        stranger.goto(server.url)
        assert stranger.locator(".wall img").count() == 1
        looker(stranger, shots, name)("front")
        stranger.click(".wall a")
        assert "Cloaked on this server" in stranger.inner_text("main")
        refused = [text for text in problems if "401" not in text]  # the wrong password
        assert refused == []
        browser.close()
