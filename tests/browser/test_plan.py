"""The plan: standing tasks, how they are, and what each of them waits for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.harness import Daemon, WsClient, shell

VIEW = "plan"
ACTIONS = {
    "sleep": shell("exec sleep 1000"),
    "job": shell("while [ ! -e gate ]; do sleep 0.02; done"),
}
TASKS = {
    "web": {"action": "sleep", "depends_on": {"api": "ready", "schema": "succeeded"}},
    "api": {"action": "sleep", "depends_on": ["db"]},
    "schema": {"action": "job", "depends_on": ["db"]},
    "db": {"action": "sleep"},
    "mail": {"action": "sleep", "autostart": "last"},
}


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, tasks=TASKS) as daemon:
        yield daemon


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WsClient]:
    with daemon.connect() as client:
        yield client


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("article", name=name, exact=True)


def test_tasks_stand_in_the_order_of_what_they_wait_for(page: Page) -> None:
    expect(page.locator(".plan .card")).to_have_count(4)
    columns = page.locator(".plan .column").all()
    shown = [
        [each.get_attribute("aria-label") for each in column.locator("article").all()] for column in columns
    ]
    assert shown == [["db"], ["api", "schema"], ["web"]]
    expect(page.locator(".alone .card")).to_have_count(1)
    expect(card(page, "mail")).to_contain_text("starts with the server if it was running")
    expect(page.locator(".plan path")).to_have_count(4)


def test_a_start_shows_what_waits_and_what_is_missing(page: Page, client: WsClient, daemon: Daemon) -> None:
    card(page, "web").get_by_role("button", name="Start", exact=True).click()
    expect(card(page, "db").locator(".state")).to_have_text("Running")
    expect(card(page, "web").locator(".state")).to_have_text("Waiting")
    expect(card(page, "web").locator(".needs li.met")).to_have_text("needs sleep api ready")
    expect(card(page, "web").locator(".needs li.unmet")).to_have_text("needs job schema to succeed")
    expect(page.locator(".plan path.unmet")).to_have_count(1)
    (daemon.directory / "gate").touch()
    expect(card(page, "web").locator(".state")).to_have_text("Running")
    expect(card(page, "schema").locator(".state")).to_have_text("Succeeded")
    card(page, "web").get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    expect(card(page, "web").locator(".state")).to_have_text("Stopped")
    expect(card(page, "web").locator(".id")).to_have_text("web")
    card(page, "web").get_by_role("button", name="sleep", exact=True).click()
    expect(page.locator(".pane")).to_have_count(1)


def test_on_a_phone_the_steps_lie_below_each_other(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    expect(card(page, "web")).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    tops = [card(page, name).bounding_box() or {} for name in ("db", "api", "web")]
    assert [box["y"] for box in tops] == sorted(box["y"] for box in tops)
    assert all(box["x"] + box["width"] <= 390 for box in tops)
