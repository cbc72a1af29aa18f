"""A real browser walks a held work through the review queue, at phone and desktop width, and axe-core looks at every page."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from fediart.domain.origin import Level
from tests.chromium import chromium
from tests.commands import run_commands
from tests.judged import a_file
from tests.people import PASSWORD
from tests.servers import a_server, wait_for
from tests.test_browser_main_path import WIDTHS, looker


def _sign_in(page: Page, url: str, name: str) -> None:
    page.goto(url + "/sign-in")
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button")
    page.wait_for_url("**/home")


@pytest.mark.parametrize("name", sorted(WIDTHS))
def test_a_held_work_is_shown_to_a_moderator_asked_about_and_decided(name: str, tmp_path: Path) -> None:
    shots = Path(os.environ.get("FEDIART_SCREENSHOTS", tmp_path))
    shots.mkdir(parents=True, exist_ok=True)
    (tmp_path / "castle.png").write_bytes(a_file(Level.GENERATOR))
    (tmp_path / "filter.png").write_bytes(a_file(Level.DECLARED))
    (tmp_path / "layers.psd").write_bytes(b"8BPS" * 100)
    width, height = WIDTHS[name]
    with a_server(tmp_path / "data") as server, sync_playwright() as playwright:
        data = ("--data", str(tmp_path / "data"), "--config", str(tmp_path / "data" / "config.toml"))
        port = server.url.rpartition(":")[2]
        settings = {"FEDIART_SERVER__PORT": port}
        made = run_commands([("account", "create", who, "--password", PASSWORD, *data) for who in ("mira", "noor")], settings)
        assert [ran.status for ran in made] == [0, 0], made
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        problems: list[str] = []
        pages = {}
        for who in ("mira", "noor"):
            pages[who] = browser.new_page(viewport={"width": width, "height": height})
            pages[who].on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
            pages[who].on("pageerror", lambda error: problems.append(str(error)))
            _sign_in(pages[who], server.url, who)
        mira, noor = pages["mira"], pages["noor"]
        look, look_as_artist = looker(mira, shots, name), looker(noor, shots, name)
        noor.click("text=New work")
        noor.wait_for_url("**/compose/*")
        noor.set_input_files("input[name=pictures]", [str(tmp_path / "castle.png"), str(tmp_path / "filter.png")])
        noor.wait_for_selector(".evidence >> nth=1")
        noor.wait_for_selector("[data-state].ready >> nth=1")
        look_as_artist("made-compose")
        noor.fill("textarea[name=text]", "A castle at night")
        noor.click("button:has-text('Remove') >> nth=1")
        noor.wait_for_selector("[data-image] >> nth=0")
        noor.check("input[name=declaration][value=digital]")
        noor.click("button:has-text('Publish')")
        noor.wait_for_selector("text=A moderator looks at it first.")
        look_as_artist("made-held")
        mira.goto(server.url + "/admin")
        look("admin")
        mira.click("text=Review")
        mira.wait_for_selector(".case img")
        look("admin-review")
        mira.click("text=Look at it")
        mira.click("summary:has-text('Ask how it was made')")
        look("admin-review-one")
        mira.click("details[open] button:has-text('Ask')")
        mira.wait_for_load_state()
        noor.goto(server.url + "/notifications")
        look_as_artist("made-news")
        noor.click("text=Read it")
        look_as_artist("made-decisions")
        noor.click("a.button:has-text('Show how it was made')")
        noor.set_input_files("input[name=files]", str(tmp_path / "layers.psd"))
        noor.fill("textarea[name=words]", "Two evenings of work; the file was saved over an old one of the web UI.")
        noor.click("text=Send to the moderators")
        noor.wait_for_selector("text=layers.psd")
        look_as_artist("made-decision-asked")
        mira.reload()
        assert "layers.psd" in mira.inner_text("main")
        mira.click("summary:has-text('Remove')")
        mira.click("details[open] button:has-text('Remove')")
        mira.wait_for_url("**/admin/review")
        look("admin-review-empty")
        noor.reload()
        assert "It cannot be shown here" in noor.inner_text("main")
        look_as_artist("made-decision")
        noor.fill("textarea[name=appeal]", "Please look at the layers again.")
        noor.click("button:has-text('Ask again')")
        noor.wait_for_url("**/decisions")
        mira.reload()
        mira.click("text=Look at it")
        look("admin-review-appeal")
        mira.click("summary:has-text('Clear')")
        mira.click("details[open] button:has-text('Clear')")
        mira.wait_for_url("**/admin/review")
        wait_for("it is out", lambda: noor.goto(server.url + "/@noor") and noor.locator(".wall img").count(), every=0.5)
        assert problems == []
        browser.close()
