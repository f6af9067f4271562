"""The view of the history, on a server of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import watched
from tests.harness import Daemon, WsClient, shell

_PARAMETERS = {"parameters": {"code": {"default": "0"}, "pw": {"type": "secret"}}}
ACTIONS = {
    "report": shell("echo one; exit [[.code]]", config=_PARAMETERS),
    "web": shell("exec sleep 60"),
    "missing": {"type": "exec", "config": {"entrypoint": "/no/such/program"}},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Daemon]:
    with Daemon(actions=ACTIONS, data_dir="data") as daemon:
        with daemon.connect() as client:
            for number in range(60):
                client.run("report", task_id=f"job {number % 3}", params={"code": "0", "pw": "hidden"})
            client.run("report", task_id="bad", params={"code": "7", "pw": "hidden"})
            client.request("start", action="missing", task_id="broken")
        yield daemon


@pytest.fixture
def history(context: BrowserContext, server: Daemon) -> Iterator[Page]:
    with watched(context) as page:
        page.goto(f"http://{server.address}/#history")
        expect(page.locator(".run")).to_have_count(50)
        yield page


def test_runs_are_shown_with_how_they_ended_and_more_of_them_on_request(history: Page) -> None:
    first = history.locator(".run").first
    expect(first).to_contain_text("Failed")
    expect(first).to_contain_text("broken #1")
    expect(first).to_contain_text("no such file")
    second = history.locator(".run").nth(1)
    expect(second).to_contain_text("exit 7")
    expect(second).to_contain_text("code=7 pw=***")
    expect(history.get_by_role("status").first).to_have_text("The latest 50 runs, 2 of them failed or lost.")
    history.get_by_role("button", name="Older runs").click()
    expect(history.locator(".run")).to_have_count(62)
    expect(history.get_by_role("button", name="Older runs")).to_be_hidden()


def test_they_are_narrowed_down_and_all_are_shown_again(history: Page) -> None:
    history.get_by_label("Status").select_option("failed")
    expect(history.locator(".run")).to_have_count(2)
    history.get_by_label("Action", exact=True).select_option("report")
    expect(history.locator(".run")).to_have_count(1)
    history.get_by_role("button", name="All").click()
    expect(history.locator(".run")).to_have_count(50)
    history.get_by_role("button", name="job 2").first.click()
    expect(history.locator(".run")).to_have_count(20)
    expect(history.get_by_label("Runs of task")).to_have_value("job 2")
    history.get_by_label("Runs of task").fill("nobody")
    history.get_by_label("Runs of task").press("Enter")
    expect(history.locator("#view-history .hint")).to_have_text("No runs.")


def test_time_is_seen_at_a_glance(history: Page) -> None:
    picture = history.get_by_role("img", name=re.compile(r"50 runs in \d+s: broken, bad, job"))
    expect(picture.locator(".lane")).to_have_count(5)
    bar = picture.locator(".lane").first.locator("rect")
    assert bar.evaluate("bar => getComputedStyle(bar).fill") != "rgb(0, 0, 0)"
    bar.click()


def test_it_follows_what_happens(history: Page, server: Daemon) -> None:
    with server.connect() as client:
        client.request("start", action="web", task_id="site")
        expect(history.locator(".run").first).to_contain_text("Running")
        client.send("stop", task_id="site")
        client.expect("exited", task_id="site")
        expect(history.locator(".run").first).to_contain_text("Stopped")


def test_a_task_leads_to_its_runs(history: Page, server: Daemon) -> None:
    history.locator("#tab-tasks").click()
    history.get_by_role("row", name=re.compile("job 1")).click()
    history.get_by_role("button", name=re.compile("Its runs")).click()
    expect(history.get_by_label("Runs of task")).to_have_value("job 1")
    expect(history.locator(".run")).to_have_count(20)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_sticks_out(history: Page, scheme: str) -> None:
    history.set_viewport_size({"width": 390, "height": 780})
    history.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    assert history.evaluate("document.documentElement.scrollWidth") == 390
    rights = "[...document.querySelectorAll('.run, .lanes')].map((e) => e.getBoundingClientRect().right)"
    assert max(history.evaluate(rights)) <= 390


def test_without_a_history_it_says_so(page: Page, client: WsClient) -> None:
    page.locator("#tab-history").click()
    expect(page.locator("#view-history .hint")).to_contain_text("has no data_dir")
