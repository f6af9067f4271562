"""What a chain has started, and what started it, beside the table."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import watched
from tests.browser.table import row, settle
from tests.harness import Daemon, shell


def test_a_task_shows_what_it_followed_and_what_followed_it(context: BrowserContext) -> None:
    actions = {"build": shell("true", then={"success": ["ship"], "any": ["tidy"]}), "ship": shell("true"),
               "tidy": shell("true")}  # fmt: skip
    with Daemon(actions=actions) as daemon, daemon.connect() as client, watched(context) as page:
        client.run("build", task_id="main")
        page.goto(f"http://{daemon.address}/#tasks")
        expect(page.locator(".t-row .c-id").nth(2)).to_be_visible()
        settle(page, client)
        facts = page.get_by_label("The selected task")
        row(page, "main").click()
        expect(facts).to_contain_text("Then startedship, tidy")
        facts.get_by_role("link", name="ship").click()
        expect(facts).to_contain_text("Started bythe end of build")
        page.locator("#tab-actions, [href='#actions']").first.click()
        page.get_by_role("button", name="build").first.click()
        expect(page.locator("header.action-head")).to_contain_text("after a success: starts ship")
