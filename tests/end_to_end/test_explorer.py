"""The explorer page in a real browser."""

from __future__ import annotations

import shutil

import pytest

from tests.end_to_end.servers import server
from tests.service.worlds import publish

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the path")
def test_a_visitor_finds_an_item_sees_similar_ones_and_a_users_reasons(tmp_path):
    from playwright.sync_api import sync_playwright

    publish(tmp_path / "models")
    complaints: list[str] = []
    with server(tmp_path / "models") as running, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(running.url)
        page.get_by_label("Words of the title").fill("alien")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("button", name="Aliens").first.click()
        page.get_by_role("heading", name="Similar to Aliens").wait_for()
        page.get_by_label("User id").fill("Zoë/ü 1")
        page.get_by_role("button", name="Recommend", exact=True).click()
        page.get_by_role("heading", name="For Zoë/ü 1").wait_for()
        page.get_by_text("near Up (0.10)").first.wait_for()
        page.get_by_label("User id").fill("nobody")
        page.get_by_role("button", name="Recommend", exact=True).click()
        page.get_by_text("nothing is known of this user").wait_for()
        browser.close()
    assert complaints == []
