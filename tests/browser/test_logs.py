"""An output whose beginning only the server's log has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.conftest import watched
from tests.browser.table import open_outputs
from tests.harness import Daemon, shell


@pytest.fixture(scope="module")
def server() -> Iterator[Daemon]:
    with Daemon(actions={"count": shell("seq 2500; sleep 0.2; echo last")}, data_dir="data") as daemon:
        with daemon.connect() as client:
            client.run("count", task_id="numbers")
        yield daemon


@pytest.fixture
def page(context: BrowserContext, server: Daemon) -> Iterator[Page]:
    with watched(context) as page:
        page.goto(f"http://{server.address}/#tasks")
        yield page


def search(pane: Locator, expression: str) -> None:
    pane.get_by_role("button", name="Regular expression").click()
    pane.get_by_label("Search the output").fill(expression)


def test_earlier_lines_are_loaded_on_request(page: Page, server: Daemon) -> None:
    with server.connect() as client:
        pane = open_outputs(page, client, "numbers")
    lines = pane.locator(".lines")
    expect(pane.locator(".line.out").last).to_contain_text("last")
    earlier = pane.get_by_role("button", name="Earlier lines")
    expect(pane.locator(".size")).to_contain_text("1,00")  # of its last thousand
    pane.get_by_role("button", name="View").click()
    earlier.click()
    expect(pane.locator(".size")).to_contain_text("2,00")
    earlier.click()
    expect(earlier).to_be_hidden()
    lines.evaluate("box => { box.scrollTop = 0; }")
    first = pane.locator(".line.out .text").first
    expect(first).to_have_text("1")
    page.keyboard.press("Escape")
    search(pane, "^17$")
    pane.get_by_role("button", name="Only lines that match").click()
    expect(pane.locator(".line.out")).to_have_count(1)


def test_scrolling_to_the_top_loads_them_too_and_all_of_the_log_is_searched(
    page: Page, server: Daemon
) -> None:
    with server.connect() as client:
        pane = open_outputs(page, client, "numbers")
    lines = pane.locator(".lines")
    expect(pane.locator(".line.out").last).to_contain_text("last")
    for held in ("2,00", "2,50"):
        lines.evaluate("box => { box.scrollTop = 0; }")
        expect(pane.locator(".size")).to_contain_text(held)
        expect(lines).not_to_have_js_property("scrollTop", 0)  # what was in sight is still
    page.reload()
    whole = pane.get_by_role("button", name="Search its log")
    search(pane, "^17$")
    expect(pane.locator(".found")).to_have_text("not found")
    pane.get_by_role("button", name="View").click()
    whole.click()
    expect(page.get_by_label("Task", exact=True)).to_have_value("numbers")
    expect(page.locator(".match .text")).to_have_text("17")
