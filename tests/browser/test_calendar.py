"""The calendar under the plan: what comes next, what was skipped and why, pause, resume and run now."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.harness import Daemon, shell

VIEW = "plan"
ACTIONS = {"sleep": shell("exec sleep 1000"), "quick": shell("echo ran")}
TASKS = {
    "yearly": {"action": "sleep", "schedule": {"cron": "@yearly", "timezone": "Europe/Berlin"}},
    "off": {"action": "quick", "schedule": {"every": "1s", "enabled": False}},
    "unscheduled": {"action": "quick"},
}


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, tasks=TASKS) as daemon:
        yield daemon


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("listitem", name=name, exact=True)


def lists(page: Page) -> tuple[Locator, Locator]:
    coming, skipped = page.locator(".times").all()
    return coming, skipped


def test_it_shows_what_comes_next_and_what_was_skipped_and_why(page: Page) -> None:
    expect(page.locator(".scheduled > li")).to_have_count(2)
    expect(row(page, "yearly")).to_contain_text("0 0 1 1 * (Europe/Berlin)")
    expect(row(page, "yearly")).to_contain_text("next ")
    coming, skipped = lists(page)
    expect(coming.locator("li")).to_have_count(8)
    expect(coming.locator("li").first).to_contain_text("sleepyearlyin ")
    expect(skipped.locator("li").first).to_contain_text("quickoffdisabled")
    before = skipped.locator("time").first.get_attribute("datetime")
    # It goes on by itself.
    expect(skipped.locator("time").first).not_to_have_attribute("datetime", str(before))


def test_a_schedule_is_paused_and_resumed_and_a_task_run_now(page: Page, daemon: Daemon) -> None:
    yearly = row(page, "yearly")
    yearly.get_by_role("button", name="Pause").click()
    expect(yearly).to_contain_text("paused")
    expect(lists(page)[0]).to_have_text("Nothing is to be started.")
    with daemon.connect() as client:
        assert client.request("schedules", task_id="yearly")["schedules"][0]["paused"]
        client.request("resume", task_id="yearly")
    page.reload()
    yearly.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Undo").click()
    expect(yearly.get_by_role("button", name="Pause")).to_be_visible()
    yearly.get_by_role("button", name="Run now").click()
    expect(yearly.get_by_role("button", name="Run now")).to_be_hidden()
    expect(page.get_by_role("article", name="yearly").locator(".state")).to_have_text("Running")


def test_it_fits_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    expect(row(page, "yearly")).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate("document.querySelector('.calendar').scrollWidth") <= 390
    page.set_viewport_size({"width": 1360, "height": 860})
