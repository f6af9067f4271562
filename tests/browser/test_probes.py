"""What the page shows of tasks that are looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Page, expect

from tests.browser.table import row, settle
from tests.browser.test_actions import choose
from tests.harness import WsClient


def test_a_task_is_marked_as_ready_and_as_unhealthy(page: Page, client: WsClient, tmp_path: Path) -> None:
    file = tmp_path / "alive"
    file.touch()
    client.request("start", action="probed", task_id="looked-at", params={"file": str(file)})
    client.expect("health", task_id="looked-at", status="healthy")
    settle(page, client)
    status, mark = row(page, "looked-at").locator(".c-status"), row(page, "looked-at").locator(".mark")
    expect(status.locator("> span").first).to_have_text("Ready")
    expect(mark).to_be_hidden()
    row(page, "looked-at").click()
    facts = page.locator(".inspector")
    expect(facts.locator("dt:text-is('Ready') + dd")).to_have_text("yes")
    expect(facts.locator("dt:text-is('Health') + dd")).to_have_text("healthy")
    page.keyboard.press("Enter")
    pane = page.locator(".pane")
    expect(pane.locator(".pane-head .state")).to_have_text("Ready")
    expect(pane.locator(".line.out")).to_have_text("serving")  # it hears what happens from now on
    file.unlink()
    expect(mark).to_be_visible()
    expect(mark).to_have_attribute("title", "Unhealthy")
    expect(facts.locator(".mark")).to_have_text("unhealthy")
    expect(pane.locator(".pane-head .mark")).to_have_text("unhealthy")
    expect(pane).to_contain_text("unhealthy: exec test: ended with status 1")
    file.touch()
    expect(mark).to_be_hidden()
    expect(pane.locator(".line").last).to_contain_text("healthy")
    expect(pane.locator(".line").last).not_to_contain_text("unhealthy")


def test_an_action_says_how_its_runs_are_looked_at(page: Page) -> None:
    choose(page, "probed")
    facts = page.locator(".action-head .facts")
    expect(facts).to_contain_text("ready: log ^serving$; within 1m0s")
    expect(facts).to_contain_text("health: exec test -e '[[.file]]' every 50ms; a failure makes it unhealthy")
